// Parts of the page that are loaded when they are needed first, and which files they consist of.

import { BASE } from "./accounts.js";
import { html, useEffect, useState } from "./vendor/preact.js";

// Besides the files that index.html names; without ".js". A browser learns of an import when it has read the file that
// has it, so that deep imports take many ways to the server: these are asked for at once. A test compares them with the
// imports.
const PARTS = {
  door: `avatar client/api client/errors device-name dialog door door-accounts door-code door-login
    door-reset door-session door-signup focus form leaving symbols symbols-more words`,
  client: `client/api client/client client/core client/errors client/incoming
    client/indexeddb-store client/messages client/outgoing client/people client/session client/store client/takers`,
  chats: "avatar banner chat_list chats find people search symbols texts ticks words",
  chat: "announce bubble chat composer history log menu scrolling",
};

const filesOf = (part) => PARTS[part].split(/\s+/);

// Begins to load these parts. The modules are not run by that.
export function ask(...parts) {
  for (const name of parts.flatMap(filesOf)) {
    document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href: new URL(`web/${name}.js`, BASE) }));
  }
}

// load(): a promise of a component. Tag: the element that says so when it could not be loaded. The component that is
// given has `load()` too, which begins early.
export function lazy(load, Tag = "div") {
  let made = null;
  let loading = null;
  const begin = () => (loading ??= load().then((component) => (made = component), (error) => ((loading = null), Promise.reject(error))));

  function Lazy(props) {
    const [state, setState] = useState(made ? "there" : ""); // or "missing", when that is known
    const again = () => begin().then(() => setState("there"), (error) => (setState("missing"), rethrow(error)));
    useEffect(() => void (state || again()), []); // it may be there by now, but was not when this was drawn
    if (state === "there") return html`<${made} ...${props} />`;
    return state === "missing" ? html`<${Missing} Tag=${Tag} onAgain=${again} />` : null;
  }
  return Object.assign(Lazy, { load: begin });
}

// Browsers throw a TypeError where a file did not come. Everything else is a fault of ours.
function rethrow(error) {
  if (!(error instanceof TypeError)) throw error;
}

function Missing({ Tag, onAgain }) {
  return html`
    <${Tag} class="hint" role="alert">
      <p>This part of the page could not be loaded. Look at the connection, then try again.</p>
      <button type="button" class="main" onClick=${onAgain}>Try again</button>
    <//>
  `;
}
