// Dialogs. The browser's own <dialog>: it keeps the focus inside, closes with Esc, and gives the focus back.

import { html, useEffect, useRef } from "./vendor/preact.js";

// A dialog is open while it is drawn: `${asking.value && html`<${Dialog} …>`}`.
// title: its heading. onClose: called when it was closed by Esc or beside it; the caller then draws it no more.
export function Dialog({ title, onClose, children }) {
  const ref = useRef(null);
  useEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement;
    dialog.showModal();
    dialog.querySelector("[data-first]")?.focus();
    return () => {
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  const onBackdrop = (event) => event.target === ref.current && isOutside(event, ref.current) && onClose();
  return html`
    <dialog ref=${ref} aria-label=${title} onCancel=${(event) => (event.preventDefault(), onClose())} onClick=${onBackdrop}>
      <h2>${title}</h2>
      ${children}
    </dialog>
  `;
}

// A question with two answers. does: the words of the button that does it; danger: it deletes or cannot be undone.
// onYes may be asynchronous; the dialog stays open, with its buttons disabled by the caller's `busy`, until it is drawn no more.
export function Confirm({ title, children, does, danger = false, busy = false, onYes, onClose }) {
  return html`
    <${Dialog} title=${title} onClose=${onClose}>
      ${children}
      <div class="does">
        <button type="button" class="quiet" onClick=${onClose} data-first>Cancel</button>
        <button type="button" class=${danger ? "danger" : "main"} disabled=${busy} onClick=${onYes}>${does}</button>
      </div>
    <//>
  `;
}

function isOutside({ clientX, clientY }, dialog) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return clientX < left || clientX > right || clientY < top || clientY > bottom;
}
