// The part of the open chat's history that is on the screen: a window of messages, which moves with the scrolling.
//
// It is read from the store again after each change, so it is the same in all tabs, and small whatever the chat's size.

import { on, store } from "./opened.js";
import { batch, signal } from "./vendor/preact.js";

const PAGE = 60; // messages read at once
const MOST = 240; // messages in the window
const MOST_UNSEEN = 5_000; // messages; of more the earliest are scrolled to
const TOGETHER_MS = 30;

export const messages = signal([]); // the window, oldest first; a message that did not change is the same object
export const peer = signal(""); // whose chat it is
export const atStart = signal(false); // whether the window begins with the first message
export const atEnd = signal(true); // whether it ends with the last one
export const shown = signal(""); // the key with which it was opened, once that is on the screen

let timer = 0;
let opened = ""; // the key with which it was opened last
let queue = Promise.resolve(); // one change of the window after the other

on("changed", (peers) => {
  if (peers.includes(peer.value)) timer ||= setTimeout(() => ((timer = 0), later(refresh)), TOGETHER_MS);
});
on("closed", () => closeHistory());

// Shows the end of this chat, or what is around a message of it. key: another one for each time.
export function openHistory(number, around, key) {
  opened = key;
  if (peer.value !== number) show(number, [], false, true);
  return later(async (isOld) => {
    const found = around ? await readAround(number, around) : await readEnd(number);
    if (isOld()) return;
    show(number, ...found);
    shown.value = key;
  });
}

// The chat is not on the screen any more.
export function closeHistory() {
  [opened, shown.value] = ["", ""];
  show("", [], true, true);
}

// Earlier messages, for somebody who scrolls up.
export function older() {
  return later(async (isOld) => {
    const [first] = messages.value;
    if (atStart.value || !first) return;
    const found = await read(peer.value, { before: first, limit: PAGE });
    if (isOld()) return;
    const all = [...found, ...messages.value];
    const cut = all.slice(0, MOST);
    show(peer.value, cut, found.length < PAGE, atEnd.value && cut.length === all.length);
  });
}

// Later ones, for somebody who scrolls down again.
export function newer() {
  return later(async (isOld) => {
    const last = messages.value.at(-1);
    if (atEnd.value || !last) return;
    const found = await read(peer.value, { after: last, limit: PAGE });
    if (isOld()) return;
    const all = [...messages.value, ...found];
    const cut = all.slice(-MOST);
    show(peer.value, cut, atStart.value && cut.length === all.length, found.length < PAGE);
  });
}

export function toEnd() {
  return later(async (isOld) => {
    if (atEnd.value) return;
    const found = await readEnd(peer.value);
    if (!isOld()) show(peer.value, ...found);
  });
}

// [messages, whether the first is among them, whether the last is]. If there is more that nobody has seen than fits, it
// is the part where that begins.
async function readEnd(number) {
  let found = await read(number, { limit: PAGE });
  let isStart = found.length < PAGE;
  while (!isStart && found.length < MOST_UNSEEN && isNew(found.find(({ mine }) => !mine))) {
    const before = await read(number, { before: found[0], limit: 8 * PAGE });
    isStart = before.length < 8 * PAGE;
    found = [...before, ...found];
  }
  const begin = Math.max(0, found.findIndex(isNew) - PAGE / 2);
  if (found.length <= MOST || !found.some(isNew)) return [found.slice(-MOST), isStart && found.length <= MOST, true];
  const part = found.slice(begin, begin + MOST);
  return [part, isStart && begin === 0, begin + MOST >= found.length];
}

const isNew = (message) => message !== undefined && !message.mine && message.state === "new";

async function readAround(number, message) {
  const before = await read(number, { before: message, limit: PAGE });
  const after = await read(number, { from: message, limit: PAGE });
  return [[...before, ...after], before.length < PAGE, after.length < PAGE];
}

// What came while somebody reads at the end makes the window grow; this makes it small again.
export function trim() {
  return later(async () => {
    const all = messages.value;
    if (atEnd.value && all.length > MOST) show(peer.value, all.slice(-2 * PAGE), false, true);
  });
}

// The window as it is in the store now. At the end of the chat it grows with what came; else it keeps its size.
async function refresh(isOld) {
  if (!peer.value || !shown.value) return;
  const [first] = messages.value;
  const isFirm = first && first.state !== "waiting"; // one that waits stands elsewhere when it has been sent
  const limit = messages.value.length + (atEnd.value ? MOST : 0);
  // One that failed may stand before all others now.
  const from = atStart.value ? { peer: peer.value, timestamp: 0, n: 0 } : first;
  const found = isFirm ? await read(peer.value, { from, limit }) : await readEnd(peer.value);
  if (isOld()) return;
  if (isFirm) show(peer.value, found, atStart.value, atEnd.value && found.length < limit);
  else show(peer.value, ...found);
}

const read = async (number, which) => (await store.value?.messages(number, which)) ?? [];

function show(number, found, isStart, isEnd) {
  const known = new Map(messages.value.map((message) => [message.n, message]));
  const same = (one, other) => one && one.state === other.state && one.timestamp === other.timestamp && one.id === other.id;
  batch(() => {
    messages.value = found.map((message) => (same(known.get(message.n), message) ? known.get(message.n) : message));
    [peer.value, atStart.value, atEnd.value] = [number, isStart, isEnd];
  });
}

// change(isOld): isOld() says whether another chat, or another place of it, was opened since.
function later(change) {
  const key = opened;
  const isOld = () => key !== opened;
  queue = queue.then(() => (isOld() ? undefined : change(isOld)));
  return queue;
}
