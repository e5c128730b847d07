// The open chat.

import { Announcer } from "./announce.js";
import { Avatar } from "./avatar.js";
import { Banner } from "./banner.js";
import { chatOf } from "./chat_list.js";
import { Composer } from "./composer.js";
import { Confirm } from "./dialog.js";
import { messages, openHistory } from "./history.js";
import { Log } from "./log.js";
import { Menu } from "./menu.js";
import { connection, store } from "./opened.js";
import { abouts, blocked, presence, setBlocked, watch } from "./people.js";
import { back } from "./router.js";
import { jump, SearchBar } from "./search.js";
import { Back, More } from "./symbols.js";
import { useAnnouncements } from "./announce.js";
import { html, useEffect, useState } from "./vendor/preact.js";
import { lastSeenWords, readable } from "./words.js";

export function Chat({ peer }) {
  const { name } = chatOf(peer);
  const [asks, setAsks] = useState(""); // which dialog is open
  const [searches, setSearches] = useState(false);
  const isBlocked = blocked.value.has(peer);
  const shownName = name || readable(peer);
  const found = jump.value?.peer === peer ? jump.value : null;

  useEffect(() => {
    setSearches(false);
    setAsks("");
    watch([peer]);
  }, [peer]);
  useEffect(() => void openHistory(peer, found?.message), [peer, found]);
  useAnnouncements(shownName);

  function onKey(event) {
    if (event.key !== "Escape" || event.defaultPrevented || asks) return;
    event.preventDefault();
    if (searches) closeSearch();
    else back();
  }
  function closeSearch() {
    setSearches(false);
    jump.value = null;
    document.getElementById("text")?.focus();
  }

  const items = [
    { words: "Search in this chat", does: () => setSearches(true) },
    isBlocked ? { words: `Unblock ${shownName}`, does: () => setAsks("unblock") } : { words: `Block ${shownName}`, does: () => setAsks("block"), bad: true },
    { words: "Clear this chat", does: () => setAsks("clear"), bad: true },
  ];
  return html`
    <section class="chat" aria-labelledby="chat-name" onKeyDown=${onKey}>
      <header class="bar">
        <button type="button" id="back" class="icon back" aria-label="Back to conversations" onClick=${() => back()}><${Back} /></button>
        <${Avatar} mobileNo=${peer} name=${name} online=${isOnline(peer)} />
        <div class="who"><h1 id="chat-name" dir="auto">${shownName}</h1><${Presence} peer=${peer} name=${name} /></div>
        <${Menu} label="More about this chat" symbol=${More} items=${items} />
      </header>
      ${searches && html`<${SearchBar} peer=${peer} onClose=${closeSearch} />`}
      <${Banner} />
      <${Log} found=${found} name=${shownName} />
      ${isBlocked ? html`<${Barred} name=${shownName} onUnblock=${() => setAsks("unblock")} />` : html`<${Composer} peer=${peer} waiting=${waitingIn(peer)} />`}
      <${Announcer} />
      ${asks && html`<${Question} asks=${asks} peer=${peer} name=${shownName} onClose=${() => setAsks("")} />`}
    </section>
  `;
}

const isOnline = (peer) => connection.value.name === "online" && presence.value.get(peer)?.online === true;
// More than these may wait, but nobody counts them.
const waitingIn = () => messages.value.filter((message) => message.mine && message.state === "waiting").length;

// Online, or when they were seen last; and their number, where their name does not say it already. Without a connection
// nothing is said about others: it may be out of date.
function Presence({ peer, name }) {
  const seen = connection.value.name === "online" ? presence.value.get(peer) : undefined;
  const words = isOnline(peer) ? "online" : seen?.lastSeen ? lastSeenWords(seen.lastSeen) : "";
  const about = abouts.value.get(peer);
  const rest = [name && readable(peer), !words && about].filter(Boolean).join(" · ");
  return html`
    <span class="sub">
      <span id="chat-seen" class=${isOnline(peer) ? "sub on" : ""}>${words}</span>${words && rest && " · "}<span>${rest}</span>
    </span>
  `;
}

function Barred({ name, onUnblock }) {
  return html`
    <p class="barred" id="barred">
      <span>You blocked <bdi>${name}</bdi>. Unblock to write.</span>
      <button type="button" class="link" onClick=${onUnblock}>Unblock</button>
    </p>
  `;
}

const QUESTIONS = {
  block: (name) => [`Block ${name}?`, "Their messages will not reach you. To them it looks as if you had gone offline; they are not told.", "Block"],
  unblock: (name) => [`Unblock ${name}?`, "They can write to you again. What they wrote meanwhile does not come.", "Unblock"],
  clear: (name) => [`Clear the chat with ${name}?`, "Its messages are deleted from this browser. The server has no copy, so they do not come back.", "Clear"],
};

function Question({ asks, peer, name, onClose }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const [title, text, does] = QUESTIONS[asks](name);
  async function doIt() {
    setBusy(true);
    try {
      if (asks === "clear") await store.value.clearChat(peer);
      else await setBlocked(peer, asks === "block");
      onClose();
    } catch (error) {
      if (error.status === undefined) throw error;
      setBusy(false);
      setProblem(error.message);
    }
  }
  return html`
    <${Confirm} title=${title} does=${does} danger=${asks !== "unblock"} busy=${busy} onYes=${doIt} onClose=${onClose}>
      <p>${text}</p>
      <p class="note" role="alert">${problem}</p>
    <//>
  `;
}
