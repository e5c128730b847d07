export class IndexedDBStore {
    /**
     * @param {string} name Of the database: one for each account.
     * @returns {Promise<IndexedDBStore>}
     * @throws {DOMException} The browser keeps nothing for this page. `MemoryStore` works all the same.
     */
    static open(name: string): Promise<IndexedDBStore>;
    /** Deletes a database. It waits until no tab has it open. @param {string} name */
    static wipe(name: string): Promise<void>;
    /** @param {string} name */
    constructor(name: string);
    history: boolean;
    /** Called after each write of this instance, with whose chats it changed. Other tabs are for the program to tell. */
    changed: (peers: string[]) => void;
    name: string;
    /** @private @type {Promise<IDBDatabase> | null} */
    private opened;
    /** @private */
    private inThisTab;
    /** Browsers may close it at any time (storage was cleared, another version): then it is opened anew. @private */
    private database;
    /** @private */
    private openDatabase;
    close(): Promise<void>;
    /**
     * @private
     * @template T
     * @param {(transaction: IDBTransaction) => Promise<T>} task
     * @returns {Promise<T>}
     */
    private read;
    /** @private @param {IDBTransactionMode} mode @returns {Promise<IDBTransaction>} */
    private begin;
    /**
     * All or nothing, and durable when it resolves.
     * @private
     * @template T
     * @param {(rows: DatabaseRows, transaction: IDBTransaction) => Promise<T>} task
     * @returns {Promise<T>}
     */
    private write;
    /** @private @param {string[]} peers */
    private tell;
    /** @returns {Promise<Kept>} */
    load(): Promise<Kept>;
    /** @param {Session | null} session */
    saveSession(session: Session | null): Promise<void>;
    /**
     * Among all tabs. On pages that were not loaded by HTTPS browsers have no locks: then among the users of this
     * instance, and tabs that refresh at the same time get the same tokens from the server.
     * @template T @param {() => Promise<T>} task @returns {Promise<T>}
     */
    locked<T>(task: () => Promise<T>): Promise<T>;
    /** @param {Message} message */
    add(message: Message): Promise<Message>;
    /** @param {Change[]} changes @returns {Promise<News[]>} */
    apply(changes: Change[]): Promise<News[]>;
    /** @param {Message[]} chats */
    unknown(chats: Message[]): Promise<Message[]>;
    /** @param {string} epoch */
    saveEpoch(epoch: string): Promise<void>;
    /** By recency. @returns {Promise<Chat[]>} */
    chats(): Promise<Chat[]>;
    /**
     * Some of a conversation, the oldest first: the latest, those before `before`, those after `after`, or those from
     * `from` on.
     * @param {string} peer
     * @param {{before?: Message, after?: Message, from?: Message, limit?: number}} [which]
     * @returns {Promise<Message[]>}
     */
    messages(peer: string, { before, after, from, limit }?: {
        before?: Message;
        after?: Message;
        from?: Message;
        limit?: number;
    }): Promise<Message[]>;
    /**
     * Messages that contain the text, the latest first, whatever the case of letters.
     * @param {string} text
     * @param {{peer?: string, limit?: number}} [how] `peer`: only of this conversation.
     * @returns {Promise<Message[]>}
     */
    search(text: string, { peer, limit }?: {
        peer?: string;
        limit?: number;
    }): Promise<Message[]>;
    /** @param {string} peer @param {string} draft */
    setDraft(peer: string, draft: string): Promise<void>;
    /** @param {string} peer @param {string} name */
    setName(peer: string, name: string): Promise<void>;
    /** @private @param {string} peer @param {Partial<Chat>} what */
    private describe;
    /** Its messages go, but for those that wait. They stay known, so that none of them comes again. @param {string} peer */
    clearChat(peer: string): Promise<void>;
    /** The same; and it leaves the list, unless something waits or failed in it. @param {string} peer */
    removeChat(peer: string): Promise<void>;
    /** @returns {Promise<{chats: Chat[], messages: Message[]}>} All of it, without secrets. */
    exportAll(): Promise<{
        chats: Chat[];
        messages: Message[];
    }>;
    /** Everything goes, the session too. */
    wipe(): Promise<void>;
}
/**
 * What a list of chats shows of one. `at` is the time of its last message.
 */
export type Chat = {
    peer: string;
    name: string;
    draft: string;
    unread: number;
    at: number;
    last: Message | null;
};
/**
 * A message as it is kept. Fields that only some have make small indexes: `waiting`, `failed`, `untold`, and `unread`
 * (its peer). A message of a chat that was cleared has no `peer`, but `gone`: it is only known. `place` is its time; one
 * that waits stands behind all others, since the server's time for it will be later than any.
 */
export type Stored = Row & {
    key: string;
    place?: number;
    stream?: string;
    gone?: string;
    unread?: string;
    waiting?: 1;
    failed?: 1;
};
import type { Kept } from "./types.js";
import type { Session } from "./types.js";
import type { Message } from "./types.js";
import type { Change } from "./types.js";
import type { News } from "./types.js";
import type { Row } from "./store.js";
