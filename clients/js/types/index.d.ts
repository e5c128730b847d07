/** The client, with a store in memory where no other is given. */
export class Client extends ClientWithStore {
    /**
     * @param {string | URL} url Of the server (http or https), with the path prefix it may have.
     * @param {types.ClientOptions} [options]
     * @throws {TypeError} The URL is none.
     */
    constructor(url: string | URL, options?: types.ClientOptions);
}
export { Api } from "./api.js";
export { IndexedDBStore } from "./indexeddb-store.js";
export { MemoryStore };
export type Change = types.Change;
export type ClientOptions = types.ClientOptions;
export type Events = types.Events;
export type Message = types.Message;
export type MessageState = types.MessageState;
export type News = types.News;
export type Session = types.Session;
export type State = types.State;
export type Store = types.Store;
import { Client as ClientWithStore } from "./client.js";
import type * as types from "./types.js";
import { MemoryStore } from "./memory-store.js";
export { ApiError, ClientError, SendFailed, StoreMismatch } from "./errors.js";
export { newMessage, randomId } from "./messages.js";
