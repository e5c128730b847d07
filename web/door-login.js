// Logging in, and what follows when an account has its full number of devices.

import { logIn, logInOrChoose } from "./door-session.js";
import { useFocus } from "./focus.js";
import { Field, PasswordField, Submit, useForm } from "./form.js";
import { Device } from "./symbols-more.js";
import { html } from "./vendor/preact.js";
import { sinceWords } from "./words.js";

// mobileNo: one that is known already. note: what was done just now.
export function LogIn({ go, mobileNo = "", note = "" }) {
  const form = useForm((given) => logInOrChoose(given, go));
  return html`
    <section class="card">
      <h2>Log in</h2>
      <p class="note" role="status">${note}</p>
      <form ...${form.props}>
        <${Field} form=${form} name="mobileNo" label="Mobile number" type="tel" autocomplete="username" required
          defaultValue=${mobileNo && `+${mobileNo}`} placeholder="+91 98765 43210" />
        <${PasswordField} form=${form} use="current-password" />
        <${Submit} form=${form} words="Log in" />
      </form>
      <div class="ways">
        <button type="button" class="link" onClick=${() => go("reset")}>Forgotten password?</button>
        <button type="button" class="link" onClick=${() => go("signUp")}>No account yet? Sign up</button>
      </div>
    </section>
  `;
}

// devices: [{deviceId, deviceName, lastSeen}], of the server, which has seen the right password.
export function TooManyDevices({ go, mobileNo, password, devices }) {
  const heading = useFocus();
  const form = useForm(({ replaceDeviceId }) => logIn({ mobileNo, password, replaceDeviceId }));
  return html`
    <section class="card">
      <h2 ref=${heading} tabindex="-1">No room for another device</h2>
      <p>This account is used on ${devices.length} devices already, and more are not possible. Which one should this
        browser replace? It is logged out, and what waits there for it alone is given up.</p>
      <form ...${form.props}>
        <fieldset class="choices">
          <legend class="vh">Device to replace</legend>
          ${devices.map(({ deviceId, deviceName, lastSeen }) => html`
            <label key=${deviceId} class="row">
              <${Device} />
              <span class="who"><span><bdi>${deviceName || "Device without a name"}</bdi></span>
                <span class="sub">${lastSeen === "online" ? "online now" : `last used ${sinceWords(Date.parse(lastSeen))}`}</span></span>
              <input type="radio" name="replaceDeviceId" value=${deviceId} defaultChecked=${deviceId === leastUsed(devices)} />
            </label>
          `)}
        </fieldset>
        <${Submit} form=${form} words="Replace it and log in" />
      </form>
      <div class="ways"><button type="button" class="link" onClick=${() => go("logIn", { mobileNo })}>Do not log in here</button></div>
    </section>
  `;
}

// Of those that are not in use just now the one that was not for the longest time.
function leastUsed(devices) {
  const used = ({ lastSeen }) => (lastSeen === "online" ? Infinity : Date.parse(lastSeen));
  return devices.reduce((least, one) => (used(one) < used(least) ? one : least)).deviceId;
}
