/**
 * One account on one device. `docs/clients.md` says how it behaves.
 *
 * A client that was not started only keeps: `post`, `retry`, `discard` and `markRead` write to its store, and `api`
 * works. So several of them can share a store (tabs), of which one is started and is told by `outboxChanged()`.
 */
export class Client {
    /**
     * @param {string | URL} url Of the server (http or https), with the path prefix it may have.
     * @param {ClientOptions} [options]
     */
    constructor(url: string | URL, options?: ClientOptions);
    options: ClientOptions;
    /** @type {Clock} */
    clock: Clock;
    /** @type {Store} */
    store: Store;
    api: Api;
    /** @type {Sessions} */
    sessions: Sessions;
    /** What it does just now. */
    get state(): State;
    /** The session in use, once it was read from the store or logged in. */
    get session(): Session | null;
    /** One's own number in digits, once it is known. */
    get mobileNo(): string;
    /**
     * Logs in if there is no session, and begins to connect. To wait for the connection: `await client.online()`.
     * @throws {ApiError} A log-in was refused for good. What may pass (429, 503, unreachable) does not reject: the client
     *   is `pausing` then.
     */
    start(): Promise<void>;
    /** Until it is online. @returns {Promise<void>} Rejects with an `ApiError` when it is `stopped` or `loggedOut`. */
    online(): Promise<void>;
    /**
     * Waits for answers and acknowledgements, at most so long, and closes (C39). What waits in the store goes on waiting.
     * @param {{seconds?: number}} [how]
     */
    stop({ seconds }?: {
        seconds?: number;
    }): Promise<void>;
    /** Ends a pause, or `stopped`. */
    connectNow(): void;
    /**
     * Out of `loggedOut`. Messages that waited still do.
     * @param {string} password
     * @param {{mobileNo?: string, deviceId?: string, deviceName?: string, replaceDeviceId?: string}} [more]
     * @throws {ApiError}
     */
    logIn(password: string, more?: {
        mobileNo?: string;
        deviceId?: string;
        deviceName?: string;
        replaceDeviceId?: string;
    }): Promise<void>;
    /**
     * Resolves when the server has stored it, with the message (`sent`, the server's `timestamp`).
     * @param {string} to
     * @param {string} text
     * @param {{id?: string}} [how] A `messageId` of one's own.
     * @returns {Promise<Message>} Rejects with a `SendFailed`.
     */
    send(to: string, text: string, how?: {
        id?: string;
    }): Promise<Message>;
    /**
     * Resolves when it is kept, with the message (`waiting`).
     * @param {string} to @param {string} text @param {{id?: string}} [how]
     */
    post(to: string, text: string, how?: {
        id?: string;
    }): Promise<Message>;
    /** A failed message waits again (C24). @param {string} id @returns {Promise<Message>} As it waits now. */
    retry(id: string): Promise<Message>;
    /** A failed message is forgotten. @param {string} id */
    discard(id: string): Promise<void>;
    /** Another user of the same store has written to it: there may be more to send. */
    outboxChanged(): Promise<void>;
    /** @param {Handler | null} handler */
    set onMessage(handler: Handler | null);
    /** Called with each message of others, one after the other; it is acknowledged when the handler has returned (C27). */
    get onMessage(): Handler | null;
    /**
     * The messages of others: one is acknowledged when the next one is asked for. Ends at `stop()`; rejects when the
     * client is `stopped` or `loggedOut`.
     * @returns {AsyncIterableIterator<Message>}
     */
    messages(): AsyncIterableIterator<Message>;
    /**
     * @template {keyof Events} K
     * @param {K} name
     * @param {(value: Events[K]) => void} listener
     * @returns {() => void} Ends it.
     */
    on<K extends keyof Events>(name: K, listener: (value: Events[K]) => void): () => void;
    /** A person saw these messages (C34). @param {string} peer @param {string[]} ids */
    markRead(peer: string, ids: string[]): Promise<void>;
    /** May be called at each key (C37). @param {string} to @param {boolean} [active] */
    typing(to: string, active?: boolean): void;
    /** @param {string[]} numbers */
    watch(numbers: string[]): void;
    /** @param {string[]} numbers */
    unwatch(numbers: string[]): void;
    /** What is known of somebody who is watched. @param {string} mobileNo */
    presence(mobileNo: string): {
        online: boolean;
        lastSeen?: number;
    } | undefined;
    /** @param {string} mobileNo */
    isTyping(mobileNo: string): boolean;
    #private;
}
/**
 * Whether it returns a promise or not.
 */
export type Handler = (message: Message) => unknown;
import type { ClientOptions } from "./types.js";
import type { Clock } from "./types.js";
import type { Store } from "./types.js";
import { Api } from "./api.js";
import { Sessions } from "./session.js";
import type { State } from "./types.js";
import type { Session } from "./types.js";
import type { Message } from "./types.js";
import type { Events } from "./types.js";
