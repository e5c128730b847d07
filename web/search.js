// Searching in what is kept: in all chats (from the field above the list) and in one.

import { store } from "./opened.js";
import { signal, useEffect, useState } from "./vendor/preact.js";

export const LEAST = 2; // letters
const MOST = 200; // messages found
const PAUSE_MS = 150;

// The message to show: {peer, n, message, words, times}, or null. times makes the same one again another one.
export const jump = signal(null);
let times = 0;

export function jumpTo(message, words) {
  times += 1;
  jump.value = { peer: message.peer, n: message.n, message, words, times };
}

// The messages that have these words, the latest first; null while they are searched for.
export function useSearch(words, peer = "") {
  const [found, setFound] = useState([]);
  useEffect(() => {
    let isOld = false;
    if (words.length < LEAST) return void setFound([]);
    const timer = setTimeout(async () => {
      const messages = await store.value.search(words, { limit: MOST, ...(peer && { peer }) });
      if (!isOld) setFound(messages);
    }, PAUSE_MS);
    return () => {
      isOld = true;
      clearTimeout(timer);
    };
  }, [words, peer]);
  return found;
}
