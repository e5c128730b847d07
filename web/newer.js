// Says that the page has a newer version. This window goes on with its own until somebody loads it again: they may be
// in the middle of a sentence.

import { html } from "./vendor/preact.js";
import { newerVersion } from "./worker.js";

export function NewerVersion() {
  if (!newerVersion.value) return null;
  return html`
    <div id="newer-version" class="banner" role="status">
      <span>A newer version of this page is ready.</span>
      <button type="button" class="link" onClick=${() => location.reload()}>Load it</button>
    </div>
  `;
}
