// Searching in one chat.

import { jump, jumpTo, LEAST, useSearch } from "./search.js";
import { Close, Down, Find } from "./symbols.js";
import { html, useEffect, useRef, useState } from "./vendor/preact.js";

// From the latest message that has the words to earlier ones.
export function SearchBar({ peer, onClose }) {
  const box = useRef(null);
  const [words, setWords] = useState("");
  const [at, setAt] = useState(0);
  const found = useSearch(words.trim(), peer);

  useEffect(() => box.current.focus(), []);
  useEffect(() => {
    setAt(0);
    if (found.length) jumpTo(found[0], words.trim());
    else jump.value = null;
  }, [found]);

  function move(by) {
    const to = (at + by + found.length) % found.length;
    setAt(to);
    jumpTo(found[to], words.trim());
  }
  function onKey(event) {
    if (event.key !== "Enter" || !found.length) return;
    event.preventDefault();
    move(event.shiftKey ? -1 : 1);
  }
  const count = words.trim().length < LEAST ? "" : found.length ? `${at + 1} of ${found.length}` : "Nothing";
  return html`
    <div class="in-chat" role="search" aria-label="Search in this chat">
      <div class="find">
        <${Find} />
        <label class="vh" for="find-in-chat">Search in this chat</label>
        <input id="find-in-chat" type="search" dir=${words ? "auto" : undefined} autocomplete="off" placeholder="Search in this chat" ref=${box} value=${words}
          onInput=${(event) => setWords(event.target.value)} onKeyDown=${onKey} />
      </div>
      <output role="status">${count}</output>
      <button type="button" class="icon up" aria-label="Earlier" disabled=${!found.length} onClick=${() => move(1)}><${Down} /></button>
      <button type="button" class="icon" aria-label="Later" disabled=${!found.length} onClick=${() => move(-1)}><${Down} /></button>
      <button type="button" class="icon" aria-label="Close the search" onClick=${onClose}><${Close} /></button>
    </div>
  `;
}
