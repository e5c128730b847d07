// Logging out of this browser.

import { go } from "./router.js";
import { Act, Loaded, Problem, useLoaded } from "./settings-parts.js";
import { Toggle } from "./settings-privacy.js";
import { account, client, forget, leave, onPurpose, store } from "./state.js";
import { html, useState } from "./vendor/preact.js";

export function LogOut() {
  const { mobileNo } = account.value; // now: afterwards nobody is logged in
  const waiting = useLoaded(async () => (await store.value.load()).waiting.length);
  const [wipe, setWipe] = useState(false);
  const [error, setError] = useState(undefined);

  async function logOut() {
    const { api } = client.value;
    await onPurpose("logged_out", () => api.logOut());
    await left();
  }

  // The server cannot be told just now: the session lives on there, but nobody here has its key any more.
  async function logOutHere() {
    await store.value.saveSession(null);
    await left();
  }

  async function left() {
    go("", "", { replace: true });
    await leave("logged_out");
    if (wipe) await forget(mobileNo);
  }

  return html`
    <${Loaded} of=${waiting}>${(count) => html`
      ${count > 0 && html`
        <p class="problem" role="alert">${waitingWords(count, wipe)}</p>
      `}
    `}<//>
    <p>Nobody can read or write here without your password. Your other devices stay logged in.</p>
    <${Toggle} name="wipe" words="Delete the messages in this browser, too" on=${wipe} onChange=${setWipe}
      meaning="For a browser that is not yours. The messages cannot be brought back." />
    <div><${Act} words="Log out" look="main" does=${logOut} onRefused=${setError} /></div>
    ${error && html`<${Problem} error=${error} />`}
    ${error?.code === "unreachable" && html`
      <div class="problem"><p>The session can be ended later, on another device. Here you can go now.</p>
        <${Act} words="Log out in this browser only" does=${logOutHere} onRefused=${setError} /></div>
    `}
  `;
}

function waitingWords(count, wipe) {
  const [begin, they] = count === 1 ? ["1 message waits", "It"] : [`${count} messages wait`, "They"];
  const [are, stay, go] = count === 1 ? ["is", "stays", "goes"] : ["are", "stay", "go"];
  return wipe
    ? `${begin} to be sent. ${they} ${are} deleted, and never sent.`
    : `${begin} to be sent. ${they} ${stay} in this browser, and ${go} out when you log in here again.`;
}
