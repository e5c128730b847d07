// A round field with the initials of somebody, in a colour that belongs to their number.

import { html } from "./vendor/preact.js";

const COLOURS = 8; // .av.c0 … .c7 in style.css
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const first = (word) => graphemes.segment(word)[Symbol.iterator]().next().value?.segment ?? "";

// One or two letters; of a number, which has none, its last two digits.
export function initials(name, mobileNo) {
  const words = (name ?? "").split(/\s+/u).filter((word) => /\p{L}|\p{N}/u.test(word));
  if (!words.length || name === mobileNo) return mobileNo.slice(-2);
  const ends = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return ends.map((word) => first(word.replace(/^[^\p{L}\p{N}]+/u, "")).toLocaleUpperCase()).join("");
}

export function colour(mobileNo) {
  let sum = 0;
  for (const digit of mobileNo) sum = (sum * 31 + digit.charCodeAt(0)) >>> 0;
  return sum % COLOURS;
}

export function Avatar({ mobileNo, name, online = false, big = false }) {
  const look = `av c${colour(mobileNo)}${online ? " dot" : ""}${big ? " big" : ""}`;
  return html`<span class=${look} aria-hidden="true">${initials(name, mobileNo)}</span>`;
}
