// The part of the open chat's history that is on the screen: a window of messages, which moves with the scrolling.
//
// It is read from the store again after each change, so it is the same in all tabs, and small whatever the chat's size.

import { on, store } from "./opened.js";
import { batch, signal } from "./vendor/preact.js";

const PAGE = 60; // messages read at once
const MOST = 240; // messages in the window
const TOGETHER_MS = 30;

export const messages = signal([]); // the window, oldest first; a message that did not change is the same object
export const peer = signal(""); // whose chat it is
export const atStart = signal(false); // whether the window begins with the first message
export const atEnd = signal(true); // whether it ends with the last one
export const loaded = signal(false);

let timer = 0;
let queue = Promise.resolve(); // one change of the window after the other

on("changed", (peers) => {
  if (peers.includes(peer.value)) timer ||= setTimeout(() => later(refresh), TOGETHER_MS);
});
on("closed", () => show("", [], true, true));

// Shows the end of this chat, or what is around a message of it.
export function openHistory(number, around = null) {
  return later(async () => {
    if (peer.value !== number) show(number, [], false, true);
    if (!number) return;
    loaded.value = false;
    await (around ? readAround(number, around) : readEnd(number));
    loaded.value = true;
  });
}

// Earlier messages, for somebody who scrolls up.
export function older() {
  return later(async () => {
    const [first] = messages.value;
    if (atStart.value || !first) return;
    const found = await read({ before: first, limit: PAGE });
    const all = [...found, ...messages.value];
    const cut = all.slice(0, MOST);
    show(peer.value, cut, found.length < PAGE, atEnd.value && cut.length === all.length);
  });
}

// Later ones, for somebody who scrolls down again.
export function newer() {
  return later(async () => {
    const last = messages.value.at(-1);
    if (atEnd.value || !last) return;
    const found = await read({ after: last, limit: PAGE });
    const all = [...messages.value, ...found];
    const cut = all.slice(-MOST);
    show(peer.value, cut, atStart.value && cut.length === all.length, found.length < PAGE);
  });
}

export function toEnd() {
  return later(async () => {
    if (!atEnd.value) await readEnd(peer.value);
  });
}

async function readEnd(number) {
  const found = await read({ limit: PAGE }, number);
  show(number, found, found.length < PAGE, true);
}

async function readAround(number, message) {
  const before = await read({ before: message, limit: PAGE }, number);
  const after = await read({ after: message, limit: PAGE }, number);
  show(number, [...before, message, ...after], before.length < PAGE, after.length < PAGE);
}

// What came while somebody reads at the end makes the window grow; this makes it small again.
export function trim() {
  return later(async () => {
    const all = messages.value;
    if (atEnd.value && all.length > MOST) show(peer.value, all.slice(-2 * PAGE), false, true);
  });
}

// The window as it is in the store now. At the end of the chat it grows with what came; else it keeps its size.
async function refresh() {
  timer = 0;
  const [first] = messages.value;
  // One that waits stands elsewhere when it has been sent.
  if (!peer.value || !first || first.state === "waiting") return void (peer.value && (await readEnd(peer.value)));
  const limit = messages.value.length + (atEnd.value ? MOST : 0);
  const found = await read({ from: first, limit });
  show(peer.value, found, atStart.value, atEnd.value && found.length < limit);
}

const read = (which, number = peer.value) => store.value?.messages(number, which) ?? [];

function show(number, found, isStart, isEnd) {
  const known = new Map(messages.value.map((message) => [message.n, message]));
  const same = (one, other) => one && one.state === other.state && one.timestamp === other.timestamp && one.id === other.id;
  batch(() => {
    messages.value = found.map((message) => (same(known.get(message.n), message) ? known.get(message.n) : message));
    [peer.value, atStart.value, atEnd.value] = [number, isStart, isEnd];
  });
}

function later(change) {
  queue = queue.then(change);
  return queue;
}
