// What is said about the connection, where it is not as it should be.

import { byLeader, connection } from "./opened.js";
import { html, useEffect, useState } from "./vendor/preact.js";

const SHORT_MS = 1_500; // connecting is not worth a word while it takes no longer
const REPLACED = "4508";

export function Banner() {
  const state = connection.value;
  const [now, setNow] = useState(Date.now());
  const [late, setLate] = useState(false);
  const { name, until } = state;
  useEffect(() => {
    if (name !== "pausing") return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [name, until]);
  useEffect(() => {
    if (name !== "connecting") return void setLate(false);
    const timer = setTimeout(() => setLate(true), SHORT_MS);
    return () => clearTimeout(timer);
  }, [name]);

  const said = words(state, now, late);
  if (!said) return null;
  const [text, action, spoken = text] = said;
  return html`
    <div id="banner" class="banner">
      <span class="vh" role="status">${spoken}</span>
      <span aria-hidden="true">${text}</span>
      ${action && html`<button type="button" class="link" onClick=${() => byLeader("connectNow")}>${action}</button>`}
    </div>
  `;
}

// [what is seen, the button, what is spoken]: the seconds are not read out one by one.
function words({ name, until, code, reason }, now, late) {
  const kept = "Messages you send now will go out later.";
  if (name === "connecting") return late ? [`Connecting… ${kept}`] : null;
  if (name === "pausing") {
    const seconds = Math.max(1, Math.ceil((until - now) / 1000));
    return [`Offline. Reconnecting in ${seconds} s. ${kept}`, "Retry now", `Offline. ${kept}`];
  }
  if (name !== "stopped") return null;
  if (String(code) === REPLACED) return ["This account is in use in another window.", "Use it here"];
  if (code === "store_failed") return ["This browser cannot keep what comes, so nothing more is accepted. Make room on the disk, then connect.", "Connect"];
  return [`Not connected: ${reason || code}`, "Connect"];
}
