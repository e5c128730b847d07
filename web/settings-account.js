// The password, the number, and the end of the account.

import { Confirm } from "./dialog.js";
import { CodeField, askForCode } from "./door-code.js";
import { Field, PasswordField, Submit, Username, useForm } from "./form.js";
import { numberChanged } from "./own-account.js";
import { go } from "./router.js";
import { account, client, forget, leave, onPurpose } from "./state.js";
import { html, useRef, useState } from "./vendor/preact.js";
import { readable } from "./words.js";

export function Password() {
  const [said, say] = useState("");
  const form = useForm(async ({ currentPassword, newPassword }) => {
    say("");
    await client.value.api.changePassword({ currentPassword, newPassword });
    form.props.ref.current.reset();
    say("The password is changed. All other sessions have ended.");
  });
  return html`
    <p class="note">All other sessions end when the password is changed. This one stays.</p>
    <form ...${form.props}>
      <${Username} mobileNo=${account.value.mobileNo} />
      <${PasswordField} form=${form} name="currentPassword" label="Current password" use="current-password" />
      <${PasswordField} form=${form} name="newPassword" label="New password" use="new-password" hint="At least 6 characters." />
      <${Submit} form=${form} words="Change the password" />
      <p class="note done" role="status">${said}</p>
    </form>
  `;
}

export function Number() {
  const [sent, setSent] = useState(null); // {mobileNo, sentAt}, when the server wants a code of the new number
  const [said, say] = useState("");
  const form = useForm(async ({ mobileNo, password, code }) => {
    say("");
    const same = sent?.mobileNo === mobileNo;
    try {
      numberChanged(await client.value.api.changeNumber({ mobileNo, password, ...(same && { code: code.trim() }) }));
    } catch (error) {
      if (error.code !== "code_missing" || same) throw error;
      return setSent({ mobileNo, ...(await askForCode(mobileNo)) });
    }
    setSent(null);
    form.props.ref.current.reset();
    return say(`Your number is ${readable(account.value.mobileNo)} now.`);
  });
  return html`
    <ul class="points">
      <li>Name, privacy, whom you blocked, and the messages in this browser stay.</li>
      <li>Nobody is told your new number. To others, your old one belongs to nobody.</li>
      <li>What waits for you under the old number is given up, and its senders are told that it expired.</li>
      <li>Your other devices are logged out. Three changes a day are possible.</li>
    </ul>
    <form ...${form.props}>
      <${Field} form=${form} name="mobileNo" label="New mobile number" type="tel" autocomplete="tel" required placeholder="+91 98765 43210"
        hint=${`With the country code. Now it is ${readable(account.value.mobileNo)}.`} />
      <${PasswordField} form=${form} use="current-password" />
      ${sent && html`<${CodeField} form=${form} ...${sent} />`}
      <${Submit} form=${form} words="Change the number" />
      <p class="note done" role="status">${said}</p>
    </form>
  `;
}

export function DeleteAccount() {
  const [asked, ask] = useState(false);
  const sure = useRef(false);
  const form = useForm(async ({ password }) => {
    if (!sure.current) return ask(true);
    sure.current = false;
    const { mobileNo } = account.value;
    const { api } = client.value;
    await onPurpose("account_deleted", () => api.deleteAccount(password));
    go("", "", { replace: true });
    await leave("account_deleted");
    return forget(mobileNo);
  });
  // The dialog sends the form once more: so a wrong password is shown beside its field.
  const confirmed = () => {
    ask(false);
    sure.current = true;
    form.props.ref.current.requestSubmit();
  };
  return html`
    <ul class="points">
      <li>Your name, your settings, your devices and sessions, and whom you blocked are deleted, at once and for ever.</li>
      <li>Messages that wait for you are deleted. Their senders are told that they expired.</li>
      <li>Messages that you sent and that still wait for others are delivered.</li>
      <li>The messages in this browser are deleted, too. Export them before, if you want to keep them.</li>
      <li>To others, your number belongs to nobody. Somebody else may sign up with it.</li>
    </ul>
    <form ...${form.props}>
      <${Username} mobileNo=${account.value.mobileNo} />
      <${PasswordField} form=${form} use="current-password" hint="To show that it is you." />
      <${Submit} form=${form} words="Delete my account" look="danger" />
    </form>
    ${asked && html`
      <${Confirm} title="Delete this account?" does="Delete for ever" danger onYes=${confirmed} onClose=${() => ask(false)}>
        <p>The account of ${readable(account.value.mobileNo)} and everything in it goes. This cannot be undone.</p>
      <//>
    `}
  `;
}
