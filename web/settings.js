// Settings. `arg` is the page of them: "" is the list of pages.

import { back } from "./router.js";
import { html } from "./vendor/preact.js";
import { Back } from "./symbols.js";

export function Settings() {
  return html`
    <main class="pane">
      <header><button type="button" aria-label="Back" onClick=${() => back()}><${Back} /></button><h1>Settings</h1></header>
    </main>
  `;
}
