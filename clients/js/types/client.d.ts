/**
 * One account on one device. `docs/clients.md` says how it behaves.
 *
 * A client that was not started only keeps: `post`, `retry`, `discard` and `markRead` write to its store, and `api`
 * works. So several of them can share a store (tabs), of which one is started and is told by `outboxChanged()`.
 */
export class Client {
    /**
     * @param {string | URL} url Of the server (http or https), with the path prefix it may have.
     * @param {ClientOptions & {store: Store}} options A page that brings its store need not load the one in memory.
     * @throws {TypeError} The URL is none.
     */
    constructor(url: string | URL, options: ClientOptions & {
        store: Store;
    });
    /** @type {Clock} */
    clock: Clock;
    /** @type {Store} */
    store: Store;
    api: Api;
    /** What it does just now. */
    get state(): State;
    /** The session in use, once it was read from the store or logged in. */
    get session(): Session | null;
    /** One's own number in digits, once it is known. */
    get mobileNo(): string;
    /**
     * Logs in if there is no session, and begins to connect. To wait for the connection: `await client.online()`. Of a
     * client that is `stopped` it is `connectNow()`; of one that runs it does nothing.
     * @throws {ApiError} A log-in was refused for good, or the client is `loggedOut`. What may pass (429, 503, unreachable)
     *   does not reject: the client is `pausing` then.
     * @throws {StoreMismatch}
     * @throws {Error} The runtime has no WebSocket; or what the store throws.
     */
    start(): Promise<void>;
    /** Until it is online. @returns {Promise<void>} Rejects with an `ApiError` when it is `stopped`, `loggedOut` or `off`. */
    online(): Promise<void>;
    /**
     * Starts, and goes on until `stop()`: for bots.
     * @throws {ApiError} It stopped by itself. `cause` is what the handler or the store threw.
     */
    run(): Promise<void>;
    /**
     * Waits for answers and acknowledgements, at most so long, and closes (C39). In a handler or a loop over messages it
     * resolves at once: the client ends when the handler has returned, or the loop asks for the next one. Browsers cannot
     * tell that it is called there after an `await`, or in a loop: there do not wait for it.
     * @param {{seconds?: number}} [how]
     */
    stop({ seconds }?: {
        seconds?: number;
    }): Promise<void>;
    /** Ends a pause, or `stopped`. @returns {void} */
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
     * @returns {Promise<Message>} Rejects with a `SendFailed`, or with what the store throws: then it is not kept.
     */
    send(to: string, text: string, how?: {
        id?: string;
    }): Promise<Message>;
    /**
     * Resolves when it is kept, with the message (`waiting`).
     * @param {string} to @param {string} text @param {{id?: string}} [how]
     * @throws {SendFailed} The server would refuse it in any case.
     */
    post(to: string, text: string, how?: {
        id?: string;
    }): Promise<Message>;
    /** A failed message waits again (C24). @param {string} id @returns {Promise<Message>} As it waits now. */
    retry(id: string): Promise<Message>;
    /** Messages that failed, and were neither retried nor discarded. @returns {Promise<Message[]>} */
    failed(): Promise<Message[]>;
    /** A failed message is forgotten. @param {string} id */
    discard(id: string): Promise<void>;
    /** Another user of the same store has written to it: there may be more to send. */
    outboxChanged(): Promise<void>;
    /** @param {Handler | null} handler @throws {ClientError} A loop over `messages()` takes them. */
    set onMessage(handler: Handler | null);
    /** Called with each message of others, one after the other; it is acknowledged when the handler has returned (C27). */
    get onMessage(): Handler | null;
    /**
     * The messages of others: one is acknowledged when the next one is asked for. Ends at `stop()`; rejects when the
     * client is `stopped` or `loggedOut`, and with a `ClientError` where there is a handler or another such loop.
     * @returns {AsyncGenerator<Message, void, undefined>}
     */
    messages(): AsyncGenerator<Message, void, undefined>;
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
 * Waits for a state. `over`: off, but not by itself.
 */
export type Watcher = {
    until: "online" | "off" | "over";
    resolve: () => void;
    reject: (error: Error) => void;
};
import type { Clock } from "./types.js";
import type { Store } from "./types.js";
import { Api } from "./api.js";
import type { State } from "./types.js";
import type { Session } from "./types.js";
import type { Message } from "./types.js";
import type { Handler } from "./takers.js";
import type { Events } from "./types.js";
import type { ClientOptions } from "./types.js";
