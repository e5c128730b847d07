// What others see of a person: their name, and a line about them.

import { Avatar } from "./avatar.js";
import { Field, Submit, useForm } from "./form.js";
import { renamed } from "./own-account.js";
import { Loaded, useLoaded } from "./settings-parts.js";
import { account, client } from "./state.js";
import { html, useState } from "./vendor/preact.js";
import { readable } from "./words.js";

export function Profile() {
  const mine = useLoaded(() => client.value.api.me());
  return html`<${Loaded} of=${mine}>${(data) => html`<${Fill} given=${data} />`}<//>`;
}

function Fill({ given }) {
  const [said, say] = useState("");
  const form = useForm(async ({ name, about }) => {
    say("");
    const now = await client.value.api.updateMe({ name, about });
    await renamed(now.name);
    say("Saved.");
  });
  const { mobileNo, name } = account.value;
  return html`
    <div class="face"><${Avatar} mobileNo=${mobileNo} name=${name} big />
      <p class="note">Everybody who writes to you, or looks up ${readable(mobileNo)}, sees your name and the line about you.</p></div>
    <form ...${form.props}>
      <${Field} form=${form} name="name" label="Name" autocomplete="name" maxlength="64" dir="auto" required defaultValue=${given.name} />
      <${Field} form=${form} name="about" label="About you" maxlength="140" dir="auto" defaultValue=${given.about}
        hint="One line of at most 140 characters. It may be empty." />
      <${Submit} form=${form} words="Save" />
      <p class="note done" role="status">${said}</p>
    </form>
  `;
}
