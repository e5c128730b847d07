// Who takes the messages of others: the program's handler, its loop, or nobody (C27).

import { ClientError } from "./errors.js";

/** @import { Message } from "./types.js" */

/** @typedef {(message: Message) => unknown} Handler Whether it returns a promise or not. */

/**
 * A loop over messages. `end`: why it gets no more of them; null if the client was stopped.
 * @typedef {{offered: {message: Message, taken: (taken: boolean) => void} | null, end?: Error | null, wake: () => void}} Loop
 */

/** In Node it can be told which code a call comes out of, also after an `await`. Browsers have nothing for it yet. */
const { AsyncLocalStorage } = globalThis.process?.getBuiltinModule?.("node:async_hooks") ?? {};

export class Takers {
  /** @type {Handler | null} */
  #handler = null;
  /** @type {Loop | null} */
  #loop = null;
  #hadLoop = false;
  /** @type {unknown} Who has a message in hands. */
  #busy = null;
  /** @type {import("node:async_hooks").AsyncLocalStorage<unknown> | null} */
  #context = AsyncLocalStorage ? new AsyncLocalStorage() : null;
  /** @type {unknown} Where there is no context: whose first lines run just now. */
  #beginning = null;
  #changed;
  #end;

  /**
   * @param {object} how
   * @param {() => void} how.changed There is another taker, or none any more.
   * @param {() => Error | null | undefined} how.end Why a loop gets no more messages, if it gets none.
   */
  constructor({ changed, end }) {
    this.#changed = changed;
    this.#end = end;
  }

  get handler() {
    return this.#handler;
  }

  /** @param {Handler | null} handler @throws {ClientError} There is a loop. */
  set handler(handler) {
    if (this.#loop) throw handedAlready();
    this.#handler = handler;
    this.#hadLoop = false;
    this.#changed();
  }

  /** Whether there is one that messages are handed to, one after the other. */
  get isThere() {
    return Boolean(this.#handler || this.#loop);
  }

  /** Whether a loop was left: the program may come back for more. */
  get isAwaited() {
    return this.#hadLoop;
  }

  /** Whether the code that runs just now is the one that has a message in hands: who waits for that waits for itself. */
  get isCaller() {
    const inside = this.#context ? this.#context.getStore() : this.#beginning;
    return this.#busy !== null && inside === this.#busy;
  }

  /** @param {Message} message @returns {Promise<boolean>} False if nobody has taken it. Rejects when the handler does. */
  async hand(message) {
    const loop = this.#loop;
    if (loop) {
      return new Promise((taken) => {
        loop.offered = { message, taken };
        loop.wake();
      });
    }
    if (!this.#handler) return false;
    try {
      await this.#call(this.#handler, message);
    } finally {
      this.#busy = null;
    }
    return true;
  }

  /** @param {Handler} handler @param {Message} message */
  #call(handler, message) {
    const inside = (this.#busy = {});
    if (this.#context) return this.#context.run(inside, handler, message);
    this.#beginning = inside;
    try {
      return handler(message);
    } finally {
      this.#beginning = null;
    }
  }

  /** The client goes on, or does not. */
  turned() {
    if (!this.#loop || this.#loop.end === null) return;
    this.#loop.end = this.#end();
    this.#loop.wake();
  }

  /** @returns {AsyncGenerator<Message, void, undefined>} @throws {ClientError} There is a taker already. */
  async *messages() {
    if (this.isThere) throw handedAlready();
    /** @type {Loop} */
    const loop = { offered: null, end: this.#end() ?? undefined, wake: () => {} }; // null: it may not have been started yet
    this.#loop = loop;
    this.#hadLoop = true;
    this.#changed();
    /** @param {boolean} isTaken */
    const release = (isTaken) => {
      loop.offered?.taken(isTaken);
      loop.offered = this.#busy = null;
    };
    try {
      for (;;) {
        this.#context?.enterWith(loop); // of the program's code that asks
        while (!loop.offered && loop.end === undefined) await new Promise((resolve) => (loop.wake = () => resolve(undefined)));
        if (loop.end) throw loop.end;
        if (!loop.offered || loop.end === null) return;
        this.#busy = loop;
        yield loop.offered.message;
        release(true);
      }
    } finally {
      this.#loop = null;
      release(false);
      this.#changed();
    }
  }
}

const handedAlready = () => new ClientError("Messages are handed to somebody else already.");
