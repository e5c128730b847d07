// The text of a message: links, and what was searched for. Nothing that somebody wrote becomes markup.

import { html } from "./vendor/preact.js";

// What cannot be seen, or turns the direction of what follows it, is no part of an address: it would look like another one.
const LINK = /\bhttps?:\/\/[^\s<>"\p{Cc}\p{Cf}]+/giu;
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
    const { href, username, password } = new URL(address);
    if (username || password) continue; // https://a@b leads to b, and looks like a
    if (match.index > done) found.push({ text: text.slice(done, match.index) });
    found.push({ text: address, link: href });
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
    link ? html`<a href=${link} dir="ltr" target="_blank" rel="noopener noreferrer">${marked(part, words)}</a>` : marked(part, words),
  );
}

// Others choose how often the words are in it, so each time must not take a call within a call.
export function marked(text, words) {
  if (!words) return text;
  const found = new RegExp(`(${words.replace(/[$()*+.?[\\\]^{|}]/g, "\\$&")})`, "giu");
  return text.split(found).map((part, at) => (at % 2 ? html`<mark>${part}</mark>` : part));
}
