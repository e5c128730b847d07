// The door: what somebody sees who is not logged in. One step is shown at a time.
//
// Steps get `go(step, more)`, which shows another one, and what `more` brought along.

import { knownAccounts } from "./accounts.js";
import { Accounts } from "./door-accounts.js";
import { LogIn, TooManyDevices } from "./door-login.js";
import { Reset } from "./door-reset.js";
import { SignUp } from "./door-signup.js";
import { leavingWords } from "./leaving.js";
import { leftBecause } from "./state.js";
import { html, useEffect, useState } from "./vendor/preact.js";

const STEPS = { accounts: Accounts, logIn: LogIn, signUp: SignUp, reset: Reset, tooMany: TooManyDevices };

export function Door() {
  const [{ step: chosen, more }, show] = useState({ step: "accounts", more: {} });
  const step = chosen === "accounts" && !knownAccounts().length ? "logIn" : chosen;
  const go = (next, given = {}) => {
    leftBecause.value = "";
    show({ step: next, more: given });
  };
  useEffect(() => void (document.title = "WhatsApp Mini"), []);
  return html`
    <main class="door">
      <header><img src="web/icons/icon.svg" alt="" width="56" height="56" /><h1>WhatsApp Mini</h1></header>
      ${leftBecause.value && html`<p class="left" role="alert">${leavingWords(leftBecause.value)}</p>`}
      <${STEPS[step]} key=${step} go=${go} ...${more} />
      <p class="note foot">Your messages are kept in this browser. The server keeps each one only until it is delivered.</p>
    </main>
  `;
}
