// What happened to the account: log-ins, failed ones, ended sessions, changes. In words, the latest first.

import { Problem, refusalOf } from "./settings-parts.js";
import { Toggle } from "./settings-privacy.js";
import { client } from "./state.js";
import { html, useEffect, useState } from "./vendor/preact.js";
import { sinceWords } from "./words.js";

const PAGE = 50;
const MOST_PAGES = 5; // asked for at once, while all that they hold is connections, which are not shown
const CONNECTIONS = new Set(["connect", "disconnect"]);
const ALARMING = new Set(["login_failed", "limited", "refresh_reused"]);
const WORDS = {
  login: "A log-in",
  logout: "A log-out",
  logout_all: "Logged out everywhere",
  session_ended: "A session was ended",
  refresh_reused: "A key of a session was used twice. Somebody may have had a copy, so the session was ended",
  device_unlinked: "A device was unlinked",
  password_changed: "The password was changed",
  password_reset: "A new password was set with a code",
  number_changed: "The mobile number was changed",
  limited: "Log-ins were refused for a while, after too many tries",
  connect: "Connected",
  disconnect: "Disconnected",
};
const FAILED = {
  credentials_wrong: "A log-in with a wrong password",
  password_wrong: "A wrong password",
  too_many_devices: "A log-in that found no place for another device",
};

const words = ({ kind, reason }) =>
  kind === "login_failed" ? (FAILED[reason] ?? "A log-in that failed") : kind === "device_unlinked" && reason === "replaced" ? "A device was replaced by another one" : (WORDS[kind] ?? `Something else (${kind.replaceAll("_", " ")})`);

export function Events() {
  const [events, setEvents] = useState([]);
  const [names, setNames] = useState(new Map());
  const [state, setState] = useState("loading"); // or "more": there may be older ones; "end"; or an error
  const [all, setAll] = useState(false);
  const shown = events.filter(({ kind }) => all || !CONNECTIONS.has(kind));

  async function older(from) {
    setState("loading");
    const error = await refusalOf(async () => {
      let [found, full] = [[], true];
      for (let page = 0; page < MOST_PAGES && full && !found.some(({ kind }) => !CONNECTIONS.has(kind)); page += 1) {
        const before = (found.at(-1) ?? from.at(-1))?.id;
        const next = await client.value.api.securityEvents({ limit: PAGE, ...(before && { before }) });
        full = next.length === PAGE;
        found = [...found, ...next];
      }
      setEvents([...from, ...found]);
      setState(full ? "more" : "end");
    });
    if (error) setState(error);
  }

  async function nameDevices() {
    // Without them, the ids that devices gave themselves are shown.
    await refusalOf(async () => setNames(new Map((await client.value.api.devices()).map((one) => [one.deviceId, one.deviceName]))));
  }

  useEffect(() => {
    older([]);
    nameDevices();
  }, []);

  return html`
    <p class="note">What happened within the last 90 days.</p>
    <${Toggle} name="connections" words="Show connections, too" meaning="Each time when a device came online or went offline." on=${all} onChange=${setAll} />
    <ol class="rows events">
      ${shown.map((event) => html`
        <li key=${event.id} class=${ALARMING.has(event.kind) ? "row alarming" : "row"}>
          <span class="who"><span>${words(event)}${event.times > 1 && html` <span class="tag">${event.times} times</span>`}</span>
            <span class="sub"><time datetime=${event.at}>${sinceWords(Date.parse(event.at))}</time>${event.deviceId && html` · <bdi>${names.get(event.deviceId) || event.deviceId}</bdi>`}</span></span>
        </li>
      `)}
    </ol>
    ${state === "end" && !shown.length && html`<p class="note" role="status">Nothing yet.</p>`}
    ${state === "loading" && html`<p class="note" role="status">One moment …</p>`}
    ${state === "more" && html`<button type="button" class="quiet" onClick=${() => older(events)}>Show older ones</button>`}
    ${state.status !== undefined && html`<${Problem} error=${state} onAgain=${() => older(events)} />`}
  `;
}
