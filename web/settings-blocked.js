// The people whom this person has blocked.

import { Avatar } from "./avatar.js";
import { setBlocked } from "./people.js";
import { Act, Loaded, Problem, useLoaded } from "./settings-parts.js";
import { client } from "./state.js";
import { html, useState } from "./vendor/preact.js";
import { readable } from "./words.js";

export function BlockedPeople() {
  const blocked = useLoaded(async () => (await client.value.api.blocked()).toReversed()); // the latest first
  const [error, setError] = useState(undefined);
  const refused = (refusal) => {
    setError(refusal);
    blocked.reload();
  };
  return html`
    <p class="note">Nothing that somebody you blocked writes reaches you, and they see you as if you had gone offline at that
      moment. They are not told. You block somebody in the menu of your chat with them.</p>
    <${Loaded} of=${blocked}>${(data) => html`
      ${!data.length && html`<p class="note" role="status">You have blocked nobody.</p>`}
      <ul class="rows">
        ${data.map(({ mobileNo, username }) => html`
          <li key=${mobileNo}>
            <div class="row">
              <${Avatar} mobileNo=${mobileNo} name=${username} />
              <span class="who"><span><bdi>${username}</bdi></span><span class="sub">${readable(mobileNo)}</span></span>
              <${Act} words="Unblock" label=${`Unblock ${username}`} does=${() => setBlocked(mobileNo, false)} onRefused=${refused} />
            </div>
          </li>
        `)}
      </ul>
    `}<//>
    ${error && html`<${Problem} error=${error} />`}
  `;
}
