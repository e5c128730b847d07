// One message.

import { client, sendSoon } from "./opened.js";
import { isEmoji, Text } from "./texts.js";
import { State } from "./ticks.js";
import { html, useMemo, useState } from "./vendor/preact.js";
import { clock } from "./words.js";

const LONG = 2_000; // letters: what is longer is shown when somebody wants it

// goesOn: it follows another one of the same writer. quiet: its state is said by a later one. fresh: it has just come.
export function Bubble({ message, goesOn, quiet, fresh, hit, words }) {
  const [whole, setWhole] = useState(false);
  return useMemo(() => {
    const { mine, state, text, timestamp, n } = message;
    const look = ["m", mine && "mine", goesOn && "on", fresh && "fresh", hit && "hit"].filter(Boolean).join(" ");
    const isCut = text.length > LONG && !whole;
    return html`
      <li class=${look} data-n=${n} data-state=${state}>
        <span class="vh">${mine ? "You: " : "They: "}</span>
        <p dir="auto" class=${isEmoji(text) ? "emoji" : ""}><${Text} text=${isCut ? `${text.slice(0, LONG)}…` : text} words=${words} /></p>
        ${isCut && html`<button type="button" class="link" onClick=${() => setWhole(true)}>Show all</button>`}
        <div class="meta">
          <time datetime=${new Date(timestamp).toISOString()}>${clock(timestamp)}</time>
          ${mine && html`<${State} message=${message} quiet=${quiet} />`}
          ${state === "failed" && html`<${Failed} message=${message} />`}
        </div>
      </li>
    `;
  }, [message, goesOn, quiet, fresh, hit, words, whole]);
}

function Failed({ message }) {
  async function retry() {
    await client.value.retry(message.id);
    sendSoon();
  }
  async function takeBack() {
    await client.value.discard(message.id);
    dispatchEvent(new CustomEvent("wm:taken-back", { detail: message })); // the box for the next message has it again
  }
  return html`
    <button type="button" class="link" onClick=${retry}>Retry</button>
    <button type="button" class="link" onClick=${takeBack}>Take back</button>
  `;
}
