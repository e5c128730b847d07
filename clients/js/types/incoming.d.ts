export class Incoming {
    /** @param {Core} core */
    constructor(core: Core);
    core: Core;
    /** @type {Taker} */
    taker: Taker;
    /** @type {Item[]} The first may be in the handler's hands. */
    lane: Item[];
    inHands: number;
    /** @type {Map<number, {batch: Batch, streamIds: string[], settled: [Message, {timestamp?: number, error?: {code: string, message: string}}][]}>} */
    applying: Map<number, {
        batch: Batch;
        streamIds: string[];
        settled: [Message, {
            timestamp?: number;
            error?: {
                code: string;
                message: string;
            };
        }][];
    }>;
    /** @type {string[]} Kept, and not acknowledged yet. */
    acks: string[];
    /** @type {News[]} Kept, and not told yet: that comes behind the acknowledgement. */
    news: News[];
    /** @type {Map<string, Set<string>>} Read here, and the server has not been told. */
    reads: Map<string, Set<string>>;
    /** @type {{peer: string, ids: string[]}[]} Told on this connection, which may not have come through. */
    told: {
        peer: string;
        ids: string[];
    }[];
    get idle(): boolean;
    /** @param {Kept["reads"]} reads */
    load(reads: Kept["reads"]): void;
    /** @param {Taker} taker */
    setTaker(taker: Taker): void;
    /** One WebSocket message (C31). @param {number} now @param {Frame[]} frames */
    take(now: number, frames: Frame[]): void;
    /**
     * Those of the messages that wait here have their answer.
     * @param {string} peer @param {string[]} ids @param {number} timestamp @param {[Message, {timestamp: number}][]} settled
     * @returns {Change[]}
     */
    sent(peer: string, ids: string[], timestamp: number, settled: [Message, {
        timestamp: number;
    }][]): Change[];
    /** What is on its way already is not handed over twice (C29). @param {Message[]} chats @param {Batch} batch */
    queue(chats: Message[], batch: Batch): void;
    /** The next one goes to the handler. */
    advance(): void;
    /**
     * The handler has returned, or the store knew the chat.
     * @param {number} token
     * @param {{failed?: unknown}} how
     */
    handled(token: number, how: {
        failed?: unknown;
    }): void;
    /** The handler gives it back: nobody takes it just now. @param {number} token */
    givenBack(token: number): void;
    /** Everything that waits for a taker, with what came besides. */
    keepAll(batch?: {
        left: number;
    }, more?: Change[], streamIds?: string[], settled?: any[]): void;
    /** @param {Batch} batch @param {Change[]} changes @param {string[]} streamIds @param {any[]} settled @param {number} [token] */
    keep(batch: Batch, changes: Change[], streamIds: string[], settled: any[], token?: number): void;
    /** @param {Message} message @param {{code: string, message: string}} error */
    failed(message: Message, error: {
        code: string;
        message: string;
    }): void;
    /** It is durable. @param {number} now @param {number} token @param {News[]} news */
    applied(now: number, token: number, news: News[]): void;
    /** The store failed: nothing of it is known, and what came comes again. @param {number} token */
    notKept(token: number): void;
    /** Acknowledges what is kept (C32), then tells of it. */
    flush(): void;
    /** @param {News} news */
    tell({ kind, peer, ids, message, state, timestamp }: News): void;
    /** @param {string} peer @param {string[]} ids */
    addReads(peer: string, ids: string[]): void;
    /** C34. @param {number} now @param {string} peer @param {string[]} ids */
    read(now: number, peer: string, ids: string[]): void;
    /** @param {number} now */
    sendReads(now: number): void;
    /** A retryable refusal of an acknowledgement names only some of the ids: all are sent again. @param {number} now @param {any} frame */
    refused(now: number, { component, retryable, retryAfter }: any): void;
    takeReadsBack(): void;
    haveTold(): void;
    /** What was kept meanwhile is acknowledged first of all. @param {number} now */
    online(now: number): void;
    ended(): void;
    /** What is in the handler's hands is kept when it returns, and acknowledged on the next connection, if there is one. */
    stop(): void;
    /** C35. They mean nothing any more, or something else. */
    forgetStreamIds(): void;
}
/**
 * Who takes chats: a handler, one after the other; the store at once; or nobody, and they stay at the server.
 */
export type Taker = "handler" | "store" | "nobody";
/**
 * What came together: it is acknowledged together if that does not take long.
 */
export type Batch = {
    left: number;
};
/**
 * A chat on its way to the handler. All `streamIds` under which it came are acknowledged with it.
 */
export type Item = {
    message: Message;
    streamIds: string[];
    batch: Batch;
};
import type { Core } from "./core.js";
import type { Message } from "./types.js";
import type { News } from "./types.js";
import type { Kept } from "./types.js";
import type { Frame } from "./core.js";
import type { Change } from "./types.js";
