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
import type { MessageState } from "./types.js";
