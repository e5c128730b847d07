// The title of the window: "(2) Privacy, WhatsApp Mini".

import { unread } from "./chat_list.js";
import { useEffect } from "./vendor/preact.js";

// words: what is open. Before them: how many messages of others nobody has seen.
export function useTitle(words) {
  const count = unread.value;
  useEffect(() => {
    document.title = `${count ? `(${count}) ` : ""}${words ? `${words}, ` : ""}WhatsApp Mini`;
  }, [count, words]);
}
