// What a screen reader says while a chat is open: new messages, and what became of one's own. The list of messages is
// not live by itself, or everything that scrolling draws would be read out.

import { messages, peer } from "./history.js";
import { stateWords } from "./ticks.js";
import { html, signal, useEffect, useRef } from "./vendor/preact.js";

const said = signal("");
const TICK_MS = 600; // sent, delivered and read often follow each other: only the last is said
const FORGET_MS = 5_000;

export function Announcer() {
  return html`<div class="vh" role="status" aria-live="polite">${said}</div>`;
}

// name: of the person in the open chat.
export function useAnnouncements(name) {
  const kept = useRef({ timer: 0, peer: "", newest: 0, state: "" }).current;
  const all = messages.value;
  useEffect(() => {
    const came = all.findLast((message) => !message.mine);
    const newest = all.reduce((most, { n }) => Math.max(most, n), 0);
    const mine = all.findLast((message) => message.mine);
    const state = mine ? `${mine.id} ${mine.state}` : "";
    const isSame = kept.peer === peer.value;
    if (isSame && came?.n > kept.newest && came.n === newest) say(kept, `${name}: ${came.text}`, 0);
    else if (isSame && mine && state !== kept.state && mine.state !== "waiting") say(kept, stateWords(mine), TICK_MS);
    Object.assign(kept, { peer: peer.value, newest, state });
  }, [all]);
}

function say(kept, words, wait) {
  clearTimeout(kept.timer);
  kept.timer = setTimeout(() => {
    said.value = words;
    kept.timer = setTimeout(() => (said.value = ""), FORGET_MS); // so that the same words can be said again
  }, wait);
}
