// A new password for somebody who has forgotten theirs: with a code, where the server sends any.

import { CodeField, askForCode } from "./door-code.js";
import { api, logInOrChoose } from "./door-session.js";
import { useFocus } from "./focus.js";
import { Field, PasswordField, Submit, Username, useForm } from "./form.js";
import { html, useState } from "./vendor/preact.js";

export function Reset({ go }) {
  const [asked, setAsked] = useState(null); // {mobileNo, sentAt}, or "off"
  if (asked === "off") return html`<${CodesOff} go=${go} />`;
  if (asked) return html`<${SetPassword} go=${go} ...${asked} />`;
  return html`<${AskNumber} go=${go} onAsked=${setAsked} />`;
}

function AskNumber({ go, onAsked }) {
  const heading = useFocus();
  const form = useForm(async ({ mobileNo }) => {
    try {
      onAsked({ mobileNo, ...(await askForCode(mobileNo)) });
    } catch (error) {
      if (error.code !== "codes_off") throw error;
      onAsked("off");
    }
  });
  return html`
    <section class="card">
      <h2 ref=${heading} tabindex="-1">Forgotten password</h2>
      <p>A code is sent to your number. With it you choose a new password.</p>
      <form ...${form.props}>
        <${Field} form=${form} name="mobileNo" label="Mobile number" type="tel" autocomplete="username" required placeholder="+91 98765 43210" />
        <${Submit} form=${form} words="Send the code" />
      </form>
      <${BackToLogIn} go=${go} />
    </section>
  `;
}

function SetPassword({ go, mobileNo, sentAt }) {
  const heading = useFocus();
  const form = useForm(async ({ code, newPassword }) => {
    await api.resetPassword({ mobileNo, code: code.trim(), newPassword });
    await logInOrChoose({ mobileNo, password: newPassword }, go);
  });
  return html`
    <section class="card">
      <h2 ref=${heading} tabindex="-1">Choose a new password</h2>
      <p>All devices are logged out by it. If nobody has an account with this number, no code comes.</p>
      <form ...${form.props}>
        <${Username} mobileNo=${mobileNo} />
        <${CodeField} form=${form} mobileNo=${mobileNo} sentAt=${sentAt} />
        <${PasswordField} form=${form} name="newPassword" label="New password" use="new-password" hint="At least 6 characters." />
        <${Submit} form=${form} words="Set the password and log in" />
      </form>
      <${BackToLogIn} go=${go} />
    </section>
  `;
}

function CodesOff({ go }) {
  const heading = useFocus();
  return html`
    <section class="card">
      <h2 ref=${heading} tabindex="-1">Passwords cannot be reset here</h2>
      <p>This server sends no codes to numbers, so it cannot find out whether a number is yours. A forgotten password
        cannot be replaced. Somebody who is logged in on another device can change it there, if they know it.</p>
      <${BackToLogIn} go=${go} />
    </section>
  `;
}

const BackToLogIn = ({ go }) =>
  html`<div class="ways"><button type="button" class="link" onClick=${() => go("logIn")}>Back to logging in</button></div>`;
