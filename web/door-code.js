// The code of six digits that proves whose a number is: asking for it, entering it, asking for another one.

import { api } from "./door-session.js";
import { Field, inWords, sentence, useSecondsUntil } from "./form.js";
import { html, useState } from "./vendor/preact.js";

const PAUSE_MS = 30_000; // a message on a phone takes some seconds; asking again at once makes the first code void

// {sentAt}: when the code was asked for.
export async function askForCode(mobileNo) {
  await api.requestCode(mobileNo);
  return { sentAt: Date.now() };
}

// The field, and a button that sends another code when some time has passed.
export function CodeField({ form, mobileNo, sentAt }) {
  const [resent, setResent] = useState({ at: sentAt, until: sentAt + PAUSE_MS, said: "", wrong: "" });
  const left = useSecondsUntil(resent.until);

  async function again() {
    try {
      const { sentAt: at } = await askForCode(mobileNo);
      setResent({ at, until: at + PAUSE_MS, said: "Another code was sent. The one before is void.", wrong: "" });
    } catch (error) {
      if (error.status === undefined) throw error;
      setResent({ ...resent, until: Date.now() + (error.retryAfter ?? 1) * 1000, said: "", wrong: sentence(error) });
    }
  }

  return html`
    <${Field} form=${form} name="code" label="Code of six digits" inputmode="numeric" autocomplete="one-time-code" required
      maxlength="6" hint=${`It was sent to ${mobileNo}, and works for ten minutes.`} />
    <div class="again">
      <button type="button" class="link" disabled=${left > 0} onClick=${again}>Send another code</button>
      ${left > 0 && html`<span class="note">in ${inWords(left)}</span>`}
      <p class="note" role="status">${resent.said}</p>
      <p class="note" role="alert">${resent.wrong}</p>
    </div>
  `;
}
