// What is kept in this browser, and what the server holds: looking at it, taking it along, deleting it.

import { Avatar } from "./avatar.js";
import { Confirm } from "./dialog.js";
import { share } from "./opened.js";
import { Act, Loaded, Problem, download, useLoaded } from "./settings-parts.js";
import { account, client, store } from "./state.js";
import { html, useState } from "./vendor/preact.js";
import { readable } from "./words.js";

const today = () => new Date().toISOString().slice(0, 10);
const size = new Intl.NumberFormat(undefined, { style: "unit", unit: "megabyte", maximumFractionDigits: 1 });

export function Storage() {
  const kept = useLoaded(keptHere);
  const [asked, ask] = useState(null); // a chat, or "all"
  const [error, setError] = useState(undefined);
  const [said, say] = useState("");

  async function exportHistory() {
    const { mobileNo, name } = account.value;
    const all = { exportedAt: new Date().toISOString(), mobileNo, name, ...(await store.value.exportAll()) };
    download(`messages-${mobileNo}-${today()}.json`, JSON.stringify(all, null, 2));
  }

  async function exportServer() {
    const all = await client.value.api.exportAll();
    download(`account-${account.value.mobileNo}-${today()}.json`, JSON.stringify(all, null, 2));
  }

  async function remove() {
    const what = asked;
    ask(null);
    const peers = what === "all" ? kept.data.chats.map(({ peer }) => peer) : [what.peer];
    for (const peer of peers) await store.value.removeChat(peer);
    share("removed", peers); // their names went, too
    say(what === "all" ? "All messages in this browser are deleted." : "The messages of this chat are deleted here.");
    kept.reload();
  }

  return html`
    <p class="note">The server keeps a message only until it is delivered. Everything older is in this browser, and nowhere else
      unless another device of yours has it.</p>
    <${Loaded} of=${kept}>${(data) => html`
      <p><strong>${data.chats.length}</strong> ${data.chats.length === 1 ? "chat" : "chats"}${data.bytes ? `, ${size.format(data.bytes / 1e6)} in use` : ""}</p>
      ${data.persisted === false && html`
        <div class="problem">
          <p>When the disk is full, the browser may delete what is kept here without asking.</p>
          <${Act} words="Ask the browser to keep it" does=${askToKeep} onRefused=${kept.reload} />
        </div>
      `}
      <section><h2>Take it along</h2>
        <p class="note">Both are files of JSON, which programs read and people can.</p>
        <div class="ways">
          <${Act} words="Export the messages in this browser" does=${exportHistory} onRefused=${setError} />
          <${Act} words="Export what the server holds" does=${exportServer} onRefused=${setError} />
        </div>
      </section>
      <section><h2>Delete it here</h2>
        <p class="note">Other devices and the people you write to keep what they have. Messages that wait to be sent are not deleted.</p>
        <ul class="rows">
          ${data.chats.map((chat) => html`
            <li key=${chat.peer}>
              <div class="row">
                <${Avatar} mobileNo=${chat.peer} name=${chat.name} />
                <span class="who"><span><bdi>${chat.name || readable(chat.peer)}</bdi></span><span class="sub">${readable(chat.peer)}</span></span>
                <button type="button" class="quiet" aria-label=${`Delete the messages with ${chat.name || readable(chat.peer)}`} onClick=${() => ask(chat)}>Delete</button>
              </div>
            </li>
          `)}
        </ul>
        <div class="ways"><button type="button" class="quiet bad" disabled=${!data.chats.length} onClick=${() => ask("all")}>Delete all messages in this browser</button></div>
      </section>
    `}<//>
    <p class="note done" role="status">${said}</p>
    ${error && html`<${Problem} error=${error} />`}
    ${asked && html`
      <${Confirm} title=${asked === "all" ? "Delete all messages in this browser?" : `Delete the messages with ${asked.name || readable(asked.peer)}?`}
        does="Delete" danger onYes=${remove} onClose=${() => ask(null)}>
        <p>They are deleted from this browser and cannot be brought back.</p>
      <//>
    `}
  `;
}

async function keptHere() {
  const { usage } = (await navigator.storage?.estimate?.()) ?? {};
  return { chats: await store.value.chats(), bytes: usage, persisted: await navigator.storage?.persisted?.() };
}

async function askToKeep() {
  await navigator.storage.persist();
}
