export class Outgoing {
    /** @param {Core} core */
    constructor(core: Core);
    core: Core;
    orders: number;
    /** @type {Map<string, Map<string, Item>>} By recipient and `messageId`, oldest first. */
    queues: Map<string, Map<string, Item>>;
    /** @type {Map<string, {item: Item, since: number}>} What is on the way, by recipient. */
    flights: Map<string, {
        item: Item;
        since: number;
    }>;
    /** @type {Map<string, {until: number, times: number}>} Recipients that wait after a refusal. */
    holds: Map<string, {
        until: number;
        times: number;
    }>;
    pausedUntil: number;
    doubting: boolean;
    /** @param {Message[]} waiting */
    load(waiting: Message[]): void;
    /** What waits, and is not known yet. @param {Message} message */
    queue(message: Message): void;
    /** @param {number} now @param {Message[]} messages */
    add(now: number, messages: Message[]): void;
    /** Sends what may be sent, the oldest first. @param {number} now */
    pump(now: number): void;
    since(): number[];
    /** When holds and pauses are over. @param {number} now */
    wakeLater(now: number): void;
    /** No answer in time (C26). @param {number} now */
    overdue(now: number): void;
    /** @param {boolean} blame */
    ended(blame: boolean): void;
    /** Nothing is on the way any more. */
    land(): void;
    /** What has no answer is sent again (C21). @param {number} now */
    again(now: number): void;
    /**
     * What of ours an answer means. A recipient's number may have been written in another way than the server writes it.
     * @param {unknown} peer @param {string} id
     */
    find(peer: unknown, id: string): Item | undefined;
    /** The server has stored it (C20). @param {string} peer @param {string} id @returns {Message | undefined} */
    answered(peer: string, id: string): Message | undefined;
    /** @param {Item} item */
    remove(item: Item): void;
    /** @param {Item} item @param {string} code @param {string} why */
    fail(item: Item, code: string, why: string): void;
    /** @param {number} now @param {Frame} frame @returns {boolean} Whether it was about a chat of ours. */
    refused(now: number, frame: Frame): boolean;
    /** Its recipient waits, longer each time (C22). @param {number} now @param {Item} item @param {number} seconds */
    hold(now: number, item: Item, seconds: number): void;
    /** Nobody knows which (C25). @param {number} now @param {string} code @param {string} why */
    refusedOneOf(now: number, code: string, why: string): void;
    /** What was on the way while in doubt has its answers. @param {number} now */
    settled(now: number): void;
}
/**
 * A message without its final answer.
 */
export type Item = {
    message: Message;
    order: number;
    /**
     * Connections that ended with it unanswered, and perhaps because of it.
     */
    ends: number;
    /**
     * Whether nothing else may be on the way with it.
     */
    alone: boolean;
};
import type { Core } from "./core.js";
import type { Message } from "./types.js";
import type { Frame } from "./core.js";
