// What a message is made of, before it goes anywhere.

import { SendFailed } from "./errors.js";

/** @import { Message } from "./types.js" */

/** Until a `hello` says otherwise, in bytes of UTF-8. */
export const MAX_MESSAGE_BYTES = 16 * 1024;
const MESSAGE_ID = /^[!-~]{1,128}$/;

/** A version 4 UUID: 122 random bits. `crypto.randomUUID` is missing on pages that were not loaded by HTTPS. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

// What people write into numbers, and what copying brings along: invisible marks of writing direction.
const FORMATTING = /[\s().\-/\u00ad\u2010-\u2015\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** Digits of a number as people write it, with `+` or `00`, spaces, dashes or brackets. @param {string} number */
export function digits(number) {
  const plain = String(number).replace("(0)", "").replace(FORMATTING, "");
  return plain.startsWith("+") ? plain.slice(1) : plain.replace(/^00/, "");
}

/**
 * A message to be sent, checked as the server would (C17, C18).
 * @param {string} peer
 * @param {string} text
 * @param {{id?: string, own?: string, maxBytes?: number, timestamp?: number}} [how] `own`: one's own number.
 * @returns {Message}
 * @throws {TypeError} The text is none.
 * @throws {SendFailed} `bad_message_id`, `message_empty`, `message_too_large`, `self_message`
 */
export function newMessage(peer, text, { id = randomId(), own, maxBytes = MAX_MESSAGE_BYTES, timestamp } = {}) {
  if (typeof text !== "string") throw new TypeError("A message's text is a string.");
  // A lone half of a surrogate pair cannot be written in UTF-8. With the flag u, whole pairs are one character.
  const clean = text.replace(/\p{Surrogate}/gu, "\ufffd");
  /** @param {string} code @param {string} why */
  const refuse = (code, why) => new SendFailed(code, why, id);
  if (!MESSAGE_ID.test(id)) throw refuse("bad_message_id", "messageId takes 1 to 128 printable ASCII characters.");
  if (clean === "") throw refuse("message_empty", "The message is empty.");
  if (new TextEncoder().encode(clean).length > maxBytes) throw refuse("message_too_large", "The message is too large.");
  if (peer === own) throw refuse("self_message", "A message to oneself goes nowhere.");
  return { id, peer, mine: true, text: clean, timestamp: timestamp ?? Date.now(), state: "waiting" };
}

/**
 * Tells texts apart without keeping them. It withstands chance, not an attack: somebody who finds two texts with one
 * digest hides the second of their own messages, and nobody else's.
 * @param {string} text
 */
export function digest(text) {
  let [a, b, c, d] = [0x9e3779b9, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f];
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    a = Math.imul(a ^ unit, 0x85ebca6b) ^ (d >>> 13);
    b = Math.imul(b ^ unit, 0xc2b2ae35) ^ (a >>> 15);
    c = Math.imul(c ^ unit, 0x27d4eb2f) ^ (b >>> 16);
    d = Math.imul(d ^ unit, 0x165667b1) ^ (c >>> 14);
  }
  return [text.length, a, b, c, d].map((part) => (part >>> 0).toString(36)).join(".");
}
