// The accounts that this browser knows: one of them is chosen, or another one logs in.

import { knownAccounts } from "./accounts.js";
import { Avatar } from "./avatar.js";
import { Confirm } from "./dialog.js";
import { forget, resume } from "./state.js";
import { Close } from "./symbols.js";
import { html, useState } from "./vendor/preact.js";
import { readable } from "./words.js";

export function Accounts({ go }) {
  const [leaving, setLeaving] = useState(null);

  // Somebody whose session has ended logs in again; the others are there at once.
  const choose = async ({ mobileNo }) => (await resume(mobileNo)) || go("logIn", { mobileNo });

  async function remove() {
    await forget(leaving.mobileNo);
    setLeaving(null);
  }

  return html`
    <section class="card">
      <h2>Choose an account</h2>
      <ul class="rows">
        ${knownAccounts().map((one) => html`
          <li key=${one.mobileNo}>
            <button type="button" class="row" onClick=${() => choose(one)}>
              <${Avatar} mobileNo=${one.mobileNo} name=${one.name} />
              <span class="who"><span><bdi>${one.name}</bdi></span><span class="sub">${readable(one.mobileNo)}</span></span>
            </button>
            <button type="button" class="icon" aria-label=${`Remove ${one.name} from this browser`} title="Remove from this browser"
              onClick=${() => setLeaving(one)}><${Close} /></button>
          </li>
        `)}
      </ul>
      <div class="ways">
        <button type="button" class="quiet" onClick=${() => go("logIn")}>Another account</button>
        <button type="button" class="link" onClick=${() => go("signUp")}>Sign up</button>
      </div>
    </section>
    ${leaving && html`
      <${Confirm} title=${`Remove ${leaving.name} from this browser?`} does="Remove" danger onYes=${remove} onClose=${() => setLeaving(null)}>
        <p>All messages of this account that are kept here are deleted, also those that wait to be sent. The account
          stays, and other devices keep what they have.</p>
      <//>
    `}
  `;
}
