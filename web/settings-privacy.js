// The four settings of what others see.

import { Loaded, Problem, refusalOf, useLoaded } from "./settings-parts.js";
import { client } from "./state.js";
import { html, useState } from "./vendor/preact.js";

const AUDIENCES = [
  ["everyone", "Everyone", "Everybody who has an account here."],
  ["contacts", "People I wrote to", "People to whom you wrote within the last 180 days."],
  ["nobody", "Nobody", ""],
];
const CHOICES = [
  ["lastSeen", "Who sees when I was last online?", "It works both ways: you see somebody's last seen only if you show them yours."],
  ["online", "Who sees that I am online, and that I type?", "It works both ways: you see that somebody is online only if you show them that you are."],
];
const SWITCHES = [
  ["readReceipts", "Tell others that I read their messages",
    "When this is off, nobody is told what you read, and you are not told what others read: two ticks say that a message arrived, and no more."],
  ["strangerReceipts", "Send ticks to people I never wrote to",
    "When this is off, somebody to whom you never wrote is not told that their message arrived or was read. So a stranger cannot find out whether you are there."],
];

export function Privacy() {
  const loaded = useLoaded(() => client.value.api.privacy());
  return html`<${Loaded} of=${loaded}>${(data) => html`<${Choose} given=${data} />`}<//>`;
}

// Each choice is kept at once. What the server refuses goes back to what it was.
function Choose({ given }) {
  const [now, setNow] = useState(given);
  const [error, setError] = useState(undefined);
  const [said, say] = useState("");

  async function choose(name, value) {
    const before = now;
    setNow({ ...now, [name]: value });
    say("");
    const refusal = await refusalOf(async () => setNow(await client.value.api.setPrivacy({ [name]: value })));
    if (refusal) setNow(before);
    else say("Saved.");
    setError(refusal);
  }

  return html`
    <form class="privacy" method="post" onSubmit=${(event) => event.preventDefault()}>
      ${CHOICES.map(([name, words, both]) => html`<${Audience} key=${name} ...${{ name, words, both }} value=${now[name]} choose=${choose} />`)}
      ${SWITCHES.map(([name, words, meaning]) => html`<${Toggle} key=${name} name=${name} words=${words} meaning=${meaning}
        on=${now[name] === "on"} onChange=${(on) => choose(name, on ? "on" : "off")} />`)}
      <p class="note done" role="status">${said}</p>
      ${error && html`<${Problem} error=${error} />`}
    </form>
  `;
}

function Audience({ name, words, both, value, choose }) {
  return html`
    <fieldset class="choices">
      <legend>${words}</legend>
      ${AUDIENCES.map(([audience, label, meaning]) => html`
        <label key=${audience} class="row">
          <span class="who">${label}${meaning && html`<span class="sub">${meaning}</span>`}</span>
          <input type="radio" name=${name} value=${audience} checked=${value === audience} onChange=${() => choose(name, audience)} />
        </label>
      `)}
      <p class="note">${both}</p>
    </fieldset>
  `;
}

export function Toggle({ name, words, meaning, on, disabled = false, onChange }) {
  return html`
    <div class="choices">
      <label class="row">
        <span class="who" id=${`${name}-words`}>${words}</span>
        <input type="checkbox" role="switch" class="switch" name=${name} checked=${on} disabled=${disabled}
          aria-labelledby=${`${name}-words`} aria-describedby=${`${name}-meaning`} onChange=${(event) => onChange(event.currentTarget.checked)} />
      </label>
      <p class="note" id=${`${name}-meaning`}>${meaning}</p>
    </div>
  `;
}
