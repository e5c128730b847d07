// What this is: its version, where to read on, and how to have it on the home screen.

import { BASE } from "./accounts.js";
import { Loaded, useLoaded } from "./settings-parts.js";
import { html } from "./vendor/preact.js";
import { canInstall, install, NewerVersion } from "./worker.js";

export function About() {
  const version = useLoaded(serverVersion);
  return html`
    <div class="face"><img src="web/icons/icon.svg" alt="" width="72" height="72" /><p><strong>WhatsApp Mini</strong><br />
      <${Loaded} of=${version}>${(data) => html`<span class="note">Version ${data}</span>`}<//></p></div>
    <${NewerVersion} />
    ${canInstall.value && html`<div><button type="button" class="quiet" onClick=${install}>Install on this device</button></div>`}
    <p>It carries messages between two people: each one arrives once, in order, and is not kept by the server afterwards.</p>
    <p class="note">Messages are encrypted on their way to the server where the address begins with https. The server can read
      what waits in it. A number is as good as the proof that the server asks for.</p>
    <section><h2>For developers</h2>
      <ul class="points">
        <li><a href=${new URL("docs", BASE)} target="_blank" rel="noopener">The HTTP interface</a></li>
        <li><a href=${new URL("openapi.json", BASE)} target="_blank" rel="noopener">The same for machines (OpenAPI)</a></li>
        <li><a href=${new URL("asyncapi.json", BASE)} target="_blank" rel="noopener">The socket for machines (AsyncAPI)</a></li>
      </ul>
    </section>
  `;
}

async function serverVersion() {
  try {
    const answer = await fetch(new URL("web/version.txt", BASE));
    return answer.ok ? await answer.text() : "unknown";
  } catch {
    return "unknown: the server cannot be reached";
  }
}
