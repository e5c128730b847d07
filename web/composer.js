// The box for the next message. A draft belongs to its chat, and is kept.

import { chatOf, listed, nameOf } from "./chat_list.js";
import { byLeader, client, sendSoon, store } from "./opened.js";
import { Send } from "./symbols.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/preact.js";

const DRAFT_MS = 300;
const UNSAVED = "wm:unsaved"; // sessionStorage: [the account's database, number, text]
const MAX_BYTES = 16 * 1024;
const MAX_FRAME_BYTES = 60_000; // of 64 KiB: what JSON writes as \u0001 is six times as long as the text
const MOST_BYTES_OF_A_LETTER = 6; // of what JavaScript counts as one
const FULL = "This browser could not keep the message, so it was not sent. Make room on the disk, then send it again.";
const encoder = new TextEncoder();
const touches = matchMedia("(hover: none) and (pointer: coarse)").matches;

export function Composer({ peer, waiting }) {
  const box = useRef(null);
  const [text, setText] = useState("");
  const draft = useDraft(peer);
  const [isFull, setIsFull] = useState(false); // the browser could not keep it
  const long = useMemo(() => tooLong(text), [text]);
  const note = isFull ? FULL : long;

  function set(value, isKept = true) {
    box.current.value = value;
    setText(value);
    if (isKept) draft.keep(value);
  }

  useLayoutEffect(() => {
    setIsFull(false);
    set(draft.unsaved() ?? chatOf(peer).draft, false);
    if (!touches) box.current.focus();
  }, [peer]);
  useEffect(() => {
    if (listed.value && !box.current.value) set(chatOf(peer).draft, false); // opened by its address: now it is known
  }, [listed.value]);

  useEffect(() => {
    const takenBack = ({ detail }) => {
      if (detail.peer !== peer) return;
      set([detail.text, box.current.value].filter(Boolean).join("\n"));
      box.current.focus();
    };
    addEventListener("wm:taken-back", takenBack);
    return () => removeEventListener("wm:taken-back", takenBack);
  }, [peer]);

  async function write(event) {
    event?.preventDefault();
    const written = box.current.value.toWellFormed(); // half an emoji, with which a cut text may end, cannot be sent
    if (!written.trim()) return;
    if (tooLong(written)) return void box.current.focus(); // the note says so since it was typed
    set("");
    try {
      await draft.save();
      await client.value.post(peer, written);
    } catch (error) {
      putBack(written);
      if (!(error instanceof DOMException)) throw error; // which databases throw
      return;
    }
    byLeader("typing", peer, false);
    sendSoon();
  }

  // It is in the box again, or will be when the chat is opened again.
  function putBack(written) {
    if (!draft.isOf(peer)) return void sessionStorage.setItem(UNSAVED, JSON.stringify([peer, written]));
    set([written, box.current.value].filter(Boolean).join("\n"));
    setIsFull(true);
  }

  function onKey(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || touches) return;
    event.preventDefault();
    write();
  }

  function onInput() {
    const value = box.current.value;
    setIsFull(false);
    setText(value);
    draft.keep(value);
    byLeader("typing", peer, value !== "");
  }

  return html`
    <form id="write" class="write" method="post" onSubmit=${write}>
      <div class="box">
        <label class="vh" for="text">Message ${nameOf(peer)}</label>
        <textarea id="text" rows="1" placeholder="Message" autocomplete="off" dir=${text ? "auto" : undefined} aria-describedby="write-note" aria-invalid=${note ? "true" : undefined}
          enterkeyhint=${touches ? "enter" : "send"} ref=${box} onInput=${onInput} onKeyDown=${onKey}></textarea>
      </div>
      ${waiting > 0 && html`<span class="q">${waiting} waiting</span>`}
      <button class="icon send" aria-label="Send" title="Send" disabled=${!text.trim()}><${Send} /></button>
    </form>
    <p id="write-note" class="note write-note" role="alert">${note}</p>
  `;
}

// Keeps what is typed a moment after the last key, and at once when somebody leaves the chat. When the page goes there
// is no time to write to a database: then it is in the tab's storage until the page is there again.
function useDraft(peer) {
  const kept = useRef({ timer: 0, peer: "", text: null }).current;
  kept.save ??= async () => {
    clearTimeout(kept.timer);
    const { text } = kept;
    kept.text = null;
    if (text === null) return;
    try {
      await store.value?.setDraft(kept.peer, text);
    } catch (error) {
      kept.text ??= text; // for later
      if (!(error instanceof DOMException)) throw error;
    }
  };
  kept.isOf ??= (number) => kept.peer === number;
  kept.keep ??= (text) => {
    clearTimeout(kept.timer);
    kept.text = text;
    kept.timer = setTimeout(kept.save, DRAFT_MS);
  };
  kept.unsaved ??= () => {
    const [whose, number, text] = JSON.parse(sessionStorage.getItem(UNSAVED) ?? "[]");
    const isOurs = whose === store.value.name; // somebody else may have logged in since
    if (isOurs && number !== kept.peer) return undefined;
    sessionStorage.removeItem(UNSAVED);
    if (!isOurs) return undefined;
    kept.keep(text);
    return text;
  };
  useLayoutEffect(() => {
    kept.peer = peer;
    return () => void kept.save();
  }, [peer]);
  useEffect(() => {
    const gone = () => kept.text !== null && store.value && sessionStorage.setItem(UNSAVED, JSON.stringify([store.value.name, kept.peer, kept.text]));
    addEventListener("pagehide", gone);
    return () => removeEventListener("pagehide", gone);
  }, []);
  return kept;
}

// A sentence, or "". In parts of what fits, for bytes are nothing that people count.
function tooLong(text) {
  if (text.length * MOST_BYTES_OF_A_LETTER <= MAX_BYTES) return "";
  const size = (value) => encoder.encode(value).length;
  const part = Math.max(size(text) / MAX_BYTES, size(JSON.stringify(text)) / MAX_FRAME_BYTES);
  return part > 1 ? `Too long for one message: ${Math.ceil(part * 100)} % of what fits. Shorten it, or send it in parts.` : "";
}
