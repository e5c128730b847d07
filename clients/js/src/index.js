/**
 * A client for WhatsApp Mini, for browsers and Node. In Node also: `whatsapp-mini-client/file-store`.
 * How it behaves is said in `docs/clients.md`; the types are in `types.js`.
 * @module whatsapp-mini-client
 */

/** @import * as types from "./types.js" */
/** @typedef {types.Change} Change */
/** @typedef {types.ClientOptions} ClientOptions */
/** @typedef {types.Events} Events */
/** @typedef {types.Message} Message */
/** @typedef {types.MessageState} MessageState */
/** @typedef {types.News} News */
/** @typedef {types.Session} Session */
/** @typedef {types.State} State */
/** @typedef {types.Store} Store */

import { Client as ClientWithStore } from "./client.js";
import { MemoryStore } from "./memory-store.js";

/** The client, with a store in memory where no other is given. */
export class Client extends ClientWithStore {
  /**
   * @param {string | URL} url Of the server (http or https), with the path prefix it may have.
   * @param {types.ClientOptions} [options]
   * @throws {TypeError} The URL is none.
   */
  constructor(url, options = {}) {
    super(url, { ...options, store: options.store ?? new MemoryStore() });
  }
}

export { Api } from "./api.js";
export { ApiError, ClientError, SendFailed, StoreMismatch } from "./errors.js";
export { IndexedDBStore } from "./indexeddb-store.js";
export { newMessage, randomId } from "./messages.js";
export { MemoryStore };
