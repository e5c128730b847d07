// What the list of chats shows, and the title of the window; read from the store again after each change.

import { on, store } from "./opened.js";
import { learnNames, watch } from "./people.js";
import { computed, signal, useEffect } from "./vendor/preact.js";

const TOGETHER_MS = 40; // changes within this time are shown together
const WATCHED = 50; // chats whose people's presence is shown in the list

// [{peer, name, last: Message?, unread, draft, at}], the latest first.
export const list = signal([]);
export const chats = computed(() => new Map(list.value.map((chat) => [chat.peer, chat])));
export const unread = computed(() => list.value.reduce((sum, chat) => sum + chat.unread, 0));
export const listed = signal(false); // whether the list has been read

const NOBODY = { name: "", unread: 0, draft: "", last: null, at: 0 };
export const chatOf = (peer) => chats.value.get(peer) ?? { peer, ...NOBODY };
export const nameOf = (peer) => chatOf(peer).name;

let timer = 0;

on("opened", refresh);
on("changed", soon);
on("state", ({ name }) => name === "online" && soon());
on("closed", () => {
  clearTimeout(timer);
  timer = 0;
  [list.value, listed.value] = [[], false];
});

function soon() {
  timer ||= setTimeout(refresh, TOGETHER_MS);
}

async function refresh() {
  timer = 0;
  const asked = store.value;
  if (!asked) return;
  const found = await asked.chats();
  if (store.value !== asked) return; // another account meanwhile
  [list.value, listed.value] = [found, true];
  watch(found.slice(0, WATCHED).map(({ peer }) => peer));
  learnNames(found);
}

// The title of the window: "(2) Privacy, WhatsApp Mini".
// words: what is open. Before them: how many messages of others nobody has seen.
export function useTitle(words) {
  const count = unread.value;
  useEffect(() => {
    document.title = `${count ? `(${count}) ` : ""}${words ? `${words}, ` : ""}WhatsApp Mini`;
  }, [count, words]);
}
