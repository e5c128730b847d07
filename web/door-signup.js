// Signing up; where the server wants it, with a code that shows whose the number is.

import { CodeField, askForCode } from "./door-code.js";
import { api, logInOrChoose } from "./door-session.js";
import { useFocus } from "./focus.js";
import { Field, PasswordField, Submit, Username, useForm } from "./form.js";
import { html, useState } from "./vendor/preact.js";

export function SignUp({ go }) {
  const [given, setGiven] = useState({}); // what was filled in, when the code is asked for: {name, mobileNo, password, sentAt}
  const change = () => setGiven({ ...given, sentAt: undefined });
  if (given.sentAt) return html`<${Prove} go=${go} given=${given} onChange=${change} />`;
  return html`<${Fill} go=${go} given=${given} onCode=${setGiven} />`;
}

function Fill({ go, given, onCode }) {
  const form = useForm(async (filled) => {
    try {
      await api.signUp(filled);
    } catch (error) {
      if (error.code !== "code_missing") throw error;
      return onCode({ ...filled, ...(await askForCode(filled.mobileNo)) });
    }
    return begin(filled, go);
  });
  return html`
    <section class="card">
      <h2>Sign up</h2>
      <form ...${form.props}>
        <${Field} form=${form} name="name" label="Name" autocomplete="name" maxlength="64" required defaultValue=${given.name}
          hint="Everybody who writes to you, or looks your number up, sees it." />
        <${Field} form=${form} name="mobileNo" label="Mobile number" type="tel" autocomplete="username" required
          defaultValue=${given.mobileNo} placeholder="+91 98765 43210" hint="With the country code: +91, +49, +1 …" />
        <${PasswordField} form=${form} use="new-password" hint="At least 6 characters." />
        <${Submit} form=${form} words="Sign up" />
      </form>
      <div class="ways"><button type="button" class="link" onClick=${() => go("logIn")}>I have an account: log in</button></div>
    </section>
  `;
}

function Prove({ go, given, onChange }) {
  const heading = useFocus();
  const { sentAt, ...filled } = given;
  const form = useForm(async ({ code }) => {
    await api.signUp({ ...filled, code: code.trim() });
    await begin(filled, go);
  });
  return html`
    <section class="card">
      <h2 ref=${heading} tabindex="-1">Is this number yours?</h2>
      <form ...${form.props}>
        <${Username} mobileNo=${filled.mobileNo} />
        <${CodeField} form=${form} mobileNo=${filled.mobileNo} sentAt=${sentAt} />
        <${Submit} form=${form} words="Sign up" />
      </form>
      <div class="ways"><button type="button" class="link" onClick=${onChange}>Change the number</button></div>
    </section>
  `;
}

// The account exists now, even if the log-in does not succeed at once.
async function begin({ mobileNo, password }, go) {
  try {
    await logInOrChoose({ mobileNo, password }, go);
  } catch (error) {
    if (error.status === undefined) throw error;
    go("logIn", { mobileNo: mobileNo.replace(/^\+/, ""), note: "Your account is made. Log in to use it." });
  }
}
