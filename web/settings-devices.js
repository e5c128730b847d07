// Devices and sessions: which there are, and how to end them.

import { Confirm } from "./dialog.js";
import { go, href } from "./router.js";
import { Act, Loaded, Problem, refusalOf, useLoaded } from "./settings-parts.js";
import { client, leave, onPurpose } from "./state.js";
import { Device } from "./symbols-more.js";
import { html, useState } from "./vendor/preact.js";
import { sinceWords } from "./words.js";

const named = (deviceName) => deviceName || "Device without a name";
const since = (time) => sinceWords(Date.parse(time));

export function Devices() {
  const devices = useLoaded(async () => client.value.api.devices());
  const [asked, ask] = useState(null);
  const [error, setError] = useState(undefined);

  async function unlink() {
    const { deviceId } = asked;
    ask(null);
    setError(await refusalOf(() => client.value.api.unlinkDevice(deviceId)));
    devices.reload();
  }

  return html`
    <p class="note">Every browser and every app in which you are logged in is a device. Each gets all of your messages.</p>
    <${Loaded} of=${devices}>${(data) => html`
      <ul class="rows">
        ${data.map((one) => html`
          <li key=${one.deviceId}>
            <div class="row">
              <${Device} />
              <span class="who"><span><bdi>${named(one.deviceName)}</bdi> ${one.current && html`<span class="tag">this one</span>`}</span>
                <span class="sub">${one.lastSeen === "online" ? "online now" : `last online ${since(one.lastSeen)}`}${waitingWords(one.waiting)}</span></span>
              ${one.current
                ? html`<a class="quiet" href=${href("settings", "logout")}>Log out</a>`
                : html`<button type="button" class="quiet" aria-label=${`Unlink ${named(one.deviceName)}`} onClick=${() => ask(one)}>Unlink</button>`}
            </div>
          </li>
        `)}
      </ul>
    `}<//>
    ${error && html`<${Problem} error=${error} />`}
    ${asked && html`
      <${Confirm} title=${`Unlink ${named(asked.deviceName)}?`} does="Unlink" danger onYes=${unlink} onClose=${() => ask(null)}>
        <p>It is logged out at once. ${asked.waiting ? `What waits for it (${asked.waiting}) does not reach it any more.` : ""}
          What it has already, it keeps.</p>
      <//>
    `}
  `;
}

const waitingWords = (waiting) => (waiting ? ` · ${waiting} waiting for it` : "");

export function Sessions() {
  const sessions = useLoaded(() => client.value.api.sessions());
  const [asked, ask] = useState(null);
  const [error, setError] = useState(undefined);
  const refused = (refusal) => {
    setError(refusal);
    sessions.reload();
  };

  async function everywhere() {
    const all = asked === "all";
    ask(null);
    const { api } = client.value;
    const end = () => api.logOutEverywhere({ all });
    const refusal = await refusalOf(() => (all ? onPurpose("logged_out", end) : end()));
    if (!all || refusal) return refused(refusal);
    go("", "", { replace: true });
    return leave("logged_out");
  }

  return html`
    <p class="note">A session begins when you log in, and ends when you log out or do not come for 60 days. One that you do not
      know belongs to somebody who has your password: end it, and change the password.</p>
    <${Loaded} of=${sessions}>${(data) => html`
      <ul class="rows">
        ${data.map((one) => html`
          <li key=${one.id}>
            <div class="row">
              <${Device} />
              <span class="who"><span><bdi>${named(one.deviceName)}</bdi> ${one.current && html`<span class="tag">this one</span>`}</span>
                <span class="sub">since ${since(one.createdAt)} · last used ${since(one.lastUsedAt)}</span></span>
              ${!one.current && html`<${Act} words="End" label=${`End the session of ${named(one.deviceName)}`}
                does=${() => client.value.api.endSession(one.id)} onRefused=${refused} />`}
            </div>
          </li>
        `)}
      </ul>
      <div class="ways">
        <button type="button" class="quiet" disabled=${data.length < 2} onClick=${() => ask("others")}>Log out everywhere else</button>
        <button type="button" class="quiet bad" onClick=${() => ask("all")}>Log out everywhere, here too</button>
      </div>
    `}<//>
    ${error && html`<${Problem} error=${error} />`}
    ${asked && html`
      <${Confirm} title=${asked === "all" ? "Log out everywhere?" : "Log out everywhere else?"} does="Log out" danger onYes=${everywhere} onClose=${() => ask(null)}>
        <p>${asked === "all"
          ? "All sessions end, this one too. Messages stay in this browser, and those that wait go out when you log in again."
          : "All sessions but this one end at once. Those devices need the password to come back."}</p>
      <//>
    `}
  `;
}
