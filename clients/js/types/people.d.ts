export class People {
    /** @param {Core} core */
    constructor(core: Core);
    core: Core;
    /** @type {Set<string>} */
    watched: Set<string>;
    /** @type {string[][]} Frames without an answer. */
    asked: string[][];
    /** @type {Map<string, {online: boolean, lastSeen?: number}>} */
    presence: Map<string, {
        online: boolean;
        lastSeen?: number;
    }>;
    /** @type {Map<string, number>} When the last `active:true` went to them. */
    typingTo: Map<string, number>;
    /** @type {Set<string>} */
    typing: Set<string>;
    /** @param {string[]} numbers */
    watch(numbers: string[]): void;
    /** @param {string[]} numbers */
    unwatch(numbers: string[]): void;
    /** @param {string[]} numbers */
    ask(numbers: string[]): void;
    online(): void;
    /** @param {number} now @param {Frame} frame */
    came(now: number, { type, mobileNo, online, lastSeen, from, active }: Frame): void;
    /** @param {string} mobileNo @param {{online: boolean, lastSeen?: number}} presence */
    show(mobileNo: string, presence: {
        online: boolean;
        lastSeen?: number;
    }): void;
    /** @param {number} now @param {Frame} frame @returns {boolean} Whether it needs no more than this. */
    refused(now: number, { component, code, mobileNos, retryAfter }: Frame): boolean;
    /** C37. @param {number} now @param {string} to @param {boolean} active */
    type(now: number, to: string, active: boolean): void;
    /** @param {string} to */
    stoppedTyping(to: string): void;
    /** C38. @param {number} now @param {string} peer */
    typingBegan(now: number, peer: string): void;
    /** @param {string} peer */
    typingEnded(peer: string): void;
    ended(): void;
}
import type { Core } from "./core.js";
import type { Frame } from "./core.js";
