/** A version 4 UUID: 122 random bits. `crypto.randomUUID` is missing on pages that were not loaded by HTTPS. */
export function randomId(): string;
/** Digits of a number as people write it, with `+` or `00`, spaces, dashes or brackets. @param {string} number */
export function digits(number: string): string;
/**
 * A message to be sent, checked as the server would (C17, C18).
 * @param {string} peer
 * @param {string} text
 * @param {{id?: string, own?: string, maxBytes?: number, timestamp?: number}} [how] `own`: one's own number.
 * @returns {Message}
 * @throws {TypeError} The text is none.
 * @throws {SendFailed} `bad_message_id`, `message_empty`, `message_too_large`, `self_message`
 */
export function newMessage(peer: string, text: string, { id, own, maxBytes, timestamp }?: {
    id?: string;
    own?: string;
    maxBytes?: number;
    timestamp?: number;
}): Message;
/**
 * Tells texts apart without keeping them. It withstands chance, not an attack: somebody who finds two texts with one
 * digest hides the second of their own messages, and nobody else's.
 * @param {string} text
 */
export function digest(text: string): string;
/** @import { Message } from "./types.js" */
/** Until a `hello` says otherwise, in bytes of UTF-8. */
export const MAX_MESSAGE_BYTES: number;
import type { Message } from "./types.js";
