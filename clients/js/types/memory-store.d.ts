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
         * Of one that failed.
         */
        error?: {
            code: string;
            message: string;
        } | undefined;
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
import type { Session } from "./types.js";
import type { Kept } from "./types.js";
import type { Message } from "./types.js";
import type { Change } from "./types.js";
import type { News } from "./types.js";
import type { Row } from "./store.js";
import type { MessageState } from "./types.js";
