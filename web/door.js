// The door: signing up, logging in.

import { leftBecause } from "./state.js";
import { html } from "./vendor/preact.js";

export function Door() {
  return html`<main class="door"><h1>WhatsApp Mini</h1><p role="alert">${leftBecause}</p></main>`;
}
