/** Whether a chat of somebody else's is known (C30). @param {Rows} rows @param {Message} chat */
export function isKnown(rows: Rows, chat: Message): Promise<boolean>;
/**
 * Keeps a message that waits: the same one again once, and once more if it failed.
 * @param {Rows} rows
 * @param {Message} message
 * @returns {Promise<Message>} As it is kept. It may have been sent already; another one that waits with its id has
 *   another text.
 */
export function addWaiting(rows: Rows, message: Message): Promise<Message>;
/**
 * @param {Rows} rows
 * @param {Change} change
 * @returns {Promise<News | null>} Null if it was no news.
 */
export function applyChange(rows: Rows, change: Change): Promise<News | null>;
/** @param {Row[]} untold @returns {Kept["reads"]} */
export function readsOf(untold: Row[]): Kept["reads"];
/** Runs tasks one after the other, each also if the one before failed. @returns {<T>(task: () => Promise<T>) => Promise<T>} */
export function serial(): <T>(task: () => Promise<T>) => Promise<T>;
/**
 * Keeps nothing longer than the program runs, and no texts but of what waits and what failed. What came is known for
 * 30 days, by digests.
 */
export class MemoryStore {
    history: boolean;
    /** @type {string | null} */
    epoch: string | null;
    rows: MemoryRows;
    locked: <T>(task: () => Promise<T>) => Promise<T>;
    inOrder: <T>(task: () => Promise<T>) => Promise<T>;
    set session(session: Session | null);
    get session(): Session | null;
    /** @returns {Promise<Kept>} */
    load(): Promise<Kept>;
    /** @param {Session | null} session @returns {Promise<void>} */
    saveSession(session: Session | null): Promise<void>;
    /** @param {Message} message @returns {Promise<Message>} */
    add(message: Message): Promise<Message>;
    /** @param {Change[]} changes @returns {Promise<News[]>} */
    apply(changes: Change[]): Promise<News[]>;
    /** @param {Change[]} changes @returns {Promise<News[]>} */
    applyAll(changes: Change[]): Promise<News[]>;
    /** @param {Message[]} chats */
    unknown(chats: Message[]): Promise<Message[]>;
    /** @param {string} epoch */
    saveEpoch(epoch: string): Promise<void>;
    /** @param {string} epoch */
    setEpoch(epoch: string): void;
    close(): Promise<void>;
    #private;
}
export class MemoryRows {
    /** @type {Map<string, Row[]>} Of one key in the order of `n`. */
    byKey: Map<string, Row[]>;
    /** @type {Map<string, number>} `streamId`s, with their times. */
    streams: Map<string, number>;
    /** @type {Map<string, {state: MessageState, timestamp: number}>} */
    receipts: Map<string, {
        state: MessageState;
        timestamp: number;
    }>;
    n: number;
    newest: number;
    sizeAfterForgetting: number;
    /** In the order in which they were added. */
    all(): Row[];
    /** @param {boolean} mine @param {string} peer @param {string} id */
    find(mine: boolean, peer: string, id: string): Promise<Row[]>;
    /** @param {string} id */
    failed(id: string): Promise<Row[]>;
    /** @param {string} streamId */
    knowsStream(streamId: string): Promise<boolean>;
    /** @param {Row} row */
    put(row: Row): Promise<{
        n: number;
        /**
         * The `messageId`.
         */
        id: string;
        /**
         * The other one's number, of one's own messages, too.
         */
        peer: string;
        /**
         * Of the server; while it waits, of this machine.
         */
        timestamp: number;
        streamId?: string | undefined;
        state: MessageState;
        /**
         * Of one that failed.
         */
        error?: {
            code: string;
            message: string;
        } | undefined;
        /**
         * Whether it is one's own.
         */
        mine: boolean;
        text?: string;
        digest?: string;
        untold?: boolean;
    }>;
    /** @param {Row} row */
    remove(row: Row): Promise<void>;
    /** @param {string} peer @param {string} id */
    early(peer: string, id: string): Promise<MessageState | undefined>;
    /** @param {string} peer @param {string} id @param {MessageState | null} state @param {number} timestamp */
    setEarly(peer: string, id: string, state: MessageState | null, timestamp: number): Promise<void>;
    /** What is older than 30 days, but for what waits; looked for when there is twice as much as the last time. */
    forgetOld(): void;
}
/**
 * A message as it is kept. `text` may be gone: then `digest` tells whether another text is the same.
 */
export type Row = Omit<Message, "text"> & {
    text?: string;
    digest?: string;
    untold?: boolean;
};
/**
 * How the rules see what is kept. A `put` of a row without `n` gives it the next one.
 */
export type Rows = {
    find: (mine: boolean, peer: string, id: string) => Promise<Row[]>;
    failed: (id: string) => Promise<Row[]>;
    knowsStream: (streamId: string) => Promise<boolean>;
    put: (row: Row) => Promise<Row>;
    remove: (row: Row) => Promise<void>;
    /**
     * The state that a receipt told of
     * before its message was known.
     */
    early: (peer: string, id: string) => Promise<MessageState | undefined>;
    setEarly: (peer: string, id: string, state: MessageState | null, timestamp: number) => Promise<void>;
};
import type { Message } from "./types.js";
import type { Change } from "./types.js";
import type { News } from "./types.js";
import type { Kept } from "./types.js";
import type { Session } from "./types.js";
import type { MessageState } from "./types.js";
