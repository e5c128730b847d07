// The text of a message: links, and what was searched for. Nothing that somebody wrote becomes markup.

import { html } from "./vendor/preact.js";

const LINK = /\bhttps?:\/\/[^\s<>"]+/giu;
const TRAILING = /[.,:;!?'")\]}»”’…]+$/u; // belongs to the sentence, not to the address
const EMOJI = /^\p{RGI_Emoji}{1,3}$/v;

export const isEmoji = (text) => text.length <= 40 && EMOJI.test(text);

// [{text, link?}]: only http and https become links. A bracket that the address opened belongs to it.
export function parts(text) {
  const found = [];
  let done = 0;
  for (const match of text.matchAll(LINK)) {
    const address = trimmed(match[0]);
    if (!URL.canParse(address)) continue;
    if (match.index > done) found.push({ text: text.slice(done, match.index) });
    found.push({ text: address, link: new URL(address).href });
    done = match.index + address.length;
  }
  if (done < text.length) found.push({ text: text.slice(done) });
  return found;
}

function trimmed(address) {
  const end = address.match(TRAILING)?.[0] ?? "";
  const keep = end.startsWith(")") && address.includes("(") ? 1 : 0;
  return address.slice(0, address.length - end.length + keep);
}

// The text with its links, and with `words` marked.
export function Text({ text, words = "" }) {
  return parts(text).map(({ text: part, link }) =>
    link ? html`<a href=${link} target="_blank" rel="noopener noreferrer">${marked(part, words)}</a>` : marked(part, words),
  );
}

export function marked(text, words) {
  const at = words ? text.toLowerCase().indexOf(words.toLowerCase()) : -1;
  if (at < 0) return text;
  const end = at + words.length;
  return [text.slice(0, at), html`<mark>${text.slice(at, end)}</mark>`, marked(text.slice(end), words)];
}
