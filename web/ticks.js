// What became of a message of one's own: a drawn tick, and the word for it.

import { Delivered, Failed, Sent, Waiting } from "./symbols.js";
import { html } from "./vendor/preact.js";

const SHOWN = {
  waiting: [Waiting, "Waiting"],
  sent: [Sent, "Sent"],
  delivered: [Delivered, "Delivered"],
  read: [Delivered, "Read"],
  failed: [Failed, "Not sent"],
  expired: [Failed, "Expired, never delivered"],
};
const OURS = { no_answer: "the server gave no answer to it" };

export function stateWords({ state, error }) {
  const [, word] = SHOWN[state];
  if (state !== "failed" || !error) return word;
  return `${word}: ${OURS[error.code] ?? error.message.replace(/\.$/, "")}`;
}

export function Tick({ state }) {
  const [symbol] = SHOWN[state] ?? [];
  return symbol ? html`<${symbol} />` : null;
}

// With quiet, only the drawing is seen: the word is there for screen readers.
export function State({ message, quiet = false }) {
  return html`
    <span class=${`state ${message.state}`}>
      <${Tick} state=${message.state} /><span class=${quiet ? "vh" : ""}>${stateWords(message)}</span>
    </span>
  `;
}
