// What is asked before something that a person may not want: a block, or the end of a chat's history.

import { Confirm } from "./dialog.js";
import { store } from "./opened.js";
import { setBlocked } from "./people.js";
import { html, useState } from "./vendor/preact.js";

const QUESTIONS = {
  block: (name) => [`Block ${name}?`, "Their messages will not reach you. To them it looks as if you had gone offline; they are not told.", "Block"],
  unblock: (name) => [`Unblock ${name}?`, "They can write to you again. What they wrote meanwhile does not come.", "Unblock"],
  clear: (name) => [`Clear the chat with ${name}?`, "Its messages are deleted from this browser. The server has no copy, so they do not come back.", "Clear"],
};

// asks: "block", "unblock" or "clear".
export function Question({ asks, peer, name, onClose }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const [title, text, does] = QUESTIONS[asks](name);
  async function doIt() {
    setBusy(true);
    try {
      if (asks === "clear") await store.value.clearChat(peer);
      else await setBlocked(peer, asks === "block");
      onClose();
    } catch (error) {
      if (error.status === undefined) throw error;
      setBusy(false);
      setProblem(error.message);
    }
  }
  return html`
    <${Confirm} title=${title} does=${does} danger=${asks !== "unblock"} busy=${busy} onYes=${doIt} onClose=${onClose}>
      <p>${text}</p>
      <p class="note" role="alert">${problem}</p>
    <//>
  `;
}
