// A button that opens a menu. Arrow keys, Home and End move in it; Esc closes it and gives the focus back.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";

// items: [{words, does, bad?}]; bad: it is drawn as something that takes away.
export function Menu({ label, symbol, items }) {
  const [open, setOpen] = useState(false);
  const root = useRef(null);
  const buttons = () => [...root.current.querySelectorAll("[role=menuitem]")];
  const close = () => {
    setOpen(false);
    root.current.querySelector("button").focus();
  };
  // At once, so that no key that follows comes too early.
  useLayoutEffect(() => void (open && buttons()[0]?.focus()), [open]);
  useEffect(() => {
    if (!open) return undefined;
    const outside = (event) => root.current.contains(event.target) || setOpen(false);
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);

  function onKey(event) {
    if (!open) return;
    const all = buttons();
    const at = all.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined) all.at(to % all.length).focus();
    else if (event.key === "Escape") close();
    else if (event.key === "Tab") return void setOpen(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  function choose(does) {
    close(); // first, so that a dialog that opens now gives the focus back to this button
    does();
  }

  return html`
    <div class="menu" ref=${root} onKeyDown=${onKey}>
      <button type="button" class="icon" aria-haspopup="menu" aria-expanded=${open} aria-label=${label} title=${label}
        onClick=${() => setOpen(!open)}><${symbol} /></button>
      ${open && html`
        <ul role="menu" aria-label=${label}>
          ${items.map(({ words, does, bad }) => html`
            <li role="none"><button type="button" role="menuitem" tabindex="-1" class=${bad ? "bad" : ""} onClick=${() => choose(does)}>${words}</button></li>
          `)}
        </ul>
      `}
    </div>
  `;
}
