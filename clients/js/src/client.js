// The client: runs what its core decides, with a socket, timers, HTTP, the store and the program's handler.

import { Api } from "./api.js";
import { Core } from "./core.js";
import { ApiError, SendFailed } from "./errors.js";
import { newMessage, randomId } from "./messages.js";
import { SessionEnded, Sessions } from "./session.js";
import { MemoryStore, serial } from "./store.js";

/** @import { Effect } from "./core.js" */
/** @import { ClientOptions, Clock, Events, Message, Session, State, Store } from "./types.js" */

/** @typedef {(message: Message) => unknown} Handler Whether it returns a promise or not. */

/** @type {Clock} */
const CLOCK = {
  now: () => performance.now(),
  wall: () => Date.now(),
  later(run, ms) {
    const timer = setTimeout(run, Math.min(Math.max(0, ms), 2 ** 31 - 1));
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};

/**
 * One account on one device. `docs/clients.md` says how it behaves.
 *
 * A client that was not started only keeps: `post`, `retry`, `discard` and `markRead` write to its store, and `api`
 * works. So several of them can share a store (tabs), of which one is started and is told by `outboxChanged()`.
 */
export class Client {
  /** @type {Handler | null} */
  #handler = null;
  /** @type {{offer: (message: Message) => Promise<boolean>, wake: () => void} | null} In the place of a handler. */
  #iterator = null;
  #iterated = false;
  /** @type {Map<string, Set<(value: any) => void>>} */
  #listeners = new Map();
  /** @type {Map<string, {resolve: (message: Message) => void, reject: (error: SendFailed) => void}[]>} */
  #waiters = new Map();
  /** @type {Set<{until: "online" | "end", resolve: () => void, reject: (error: Error) => void}>} */
  #watchers = new Set();
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Core} */
  #core;
  #kept = serial(); // what is written to the store, in the order in which it happened
  #cancelTimer = () => {};
  #running = false;
  #draining = false;
  /** @type {State} */
  #state = { name: "off" };
  #onNetwork = () => this.#do(() => this.#core.connectNow(false));

  /**
   * @param {string | URL} url Of the server (http or https), with the path prefix it may have.
   * @param {ClientOptions} [options]
   */
  constructor(url, options = {}) {
    this.options = options;
    /** @type {Clock} */
    this.clock = options.clock ?? CLOCK;
    /** @type {Store} */
    this.store = options.store ?? new MemoryStore();
    this.#core = new Core({ random: this.clock.random });
    this.api = new Api(url, { fetch: options.fetch, bearer: this.#bearer() });
    /** @type {Sessions} */
    this.sessions = new Sessions({
      api: this.api,
      store: this.store,
      clock: this.clock,
      onEnd: (error, code) => this.#sessionEnded(error, code),
      onError: (error) => this.#storeFailed(error),
    });
    this.#setTaker();
  }

  // ---- starting and stopping

  /** What it does just now. */
  get state() {
    return this.#state;
  }

  /** The session in use, once it was read from the store or logged in. */
  get session() {
    return this.sessions.current;
  }

  /** One's own number in digits, once it is known. */
  get mobileNo() {
    return this.sessions.current?.mobileNo ?? this.#core.own;
  }

  /**
   * Logs in if there is no session, and begins to connect. To wait for the connection: `await client.online()`.
   * @throws {ApiError} A log-in was refused for good. What may pass (429, 503, unreachable) does not reject: the client
   *   is `pausing` then.
   */
  async start() {
    if (!this.#webSocket()) {
      throw new Error(
        "This runtime has no WebSocket. Node 22 has one; Node 20 has one with --experimental-websocket. " +
          "Or give the client a class for it: new Client(url, { WebSocket }).",
      );
    }
    if (this.#running) return;
    this.#running = true;
    this.#show({ name: "connecting" });
    try {
      const kept = await this.store.load();
      const error = !kept.session && this.options.password ? await this.#firstLogIn() : null;
      if (!this.#running) return; // stopped meanwhile
      await this.sessions.get();
      this.sessions.run(true);
      if (typeof addEventListener === "function") addEventListener("online", this.#onNetwork);
      this.#do((now) => this.#core.start(now, kept, error));
    } catch (error) {
      this.#running = false;
      const { code, message } = asError(error);
      this.#show({ name: "loggedOut", code, reason: message });
      throw error;
    }
  }

  /** @returns {Promise<ApiError | null>} A refusal that passes: the next try comes after a pause (C12). */
  async #firstLogIn() {
    try {
      await this.#logIn();
    } catch (error) {
      if (passes(error)) return /** @type {ApiError} */ (error);
      throw error;
    }
    return null;
  }

  /** Until it is online. @returns {Promise<void>} Rejects with an `ApiError` when it is `stopped` or `loggedOut`. */
  online() {
    return this.#until("online");
  }

  /**
   * Waits for answers and acknowledgements, at most so long, and closes (C39). What waits in the store goes on waiting.
   * @param {{seconds?: number}} [how]
   */
  async stop({ seconds = 10 } = {}) {
    if (this.#running) {
      const ended = this.#until("end");
      this.#do((now) => this.#core.stop(now, seconds * 1000));
      await ended;
    }
    await this.#kept(async () => undefined);
  }

  /** Ends a pause, or `stopped`. */
  connectNow() {
    this.#do(() => this.#core.connectNow());
  }

  /**
   * Out of `loggedOut`. Messages that waited still do.
   * @param {string} password
   * @param {{mobileNo?: string, deviceId?: string, deviceName?: string, replaceDeviceId?: string}} [more]
   * @throws {ApiError}
   */
  async logIn(password, more = {}) {
    await this.#logIn({ password, ...more });
    if (this.#state.name === "loggedOut" && !this.#running) await this.start();
    else this.#do(() => this.#core.loggedIn());
  }

  /** @param {{password?: string, mobileNo?: string, deviceId?: string, deviceName?: string, replaceDeviceId?: string}} [how] */
  async #logIn(how = {}) {
    const { password = "", deviceId = this.#device, deviceName } = this.options;
    const mobileNo = this.#number || (this.options.mobileNo ?? "");
    const session = await this.api.logIn({ mobileNo, password, deviceId, deviceName, ...how });
    await this.sessions.adopt(session);
    this.#remember(session);
    this.#core.didLogIn();
  }

  // Known also when the session has ended.
  #number = "";
  /** @type {string | undefined} */
  #device = undefined;

  /** @param {Session | null} session */
  #remember(session) {
    this.#number = session?.mobileNo ?? this.#number;
    this.#device = session?.deviceId ?? this.#device;
  }

  // ---- sending

  /**
   * Resolves when the server has stored it, with the message (`sent`, the server's `timestamp`).
   * @param {string} to
   * @param {string} text
   * @param {{id?: string}} [how] A `messageId` of one's own.
   * @returns {Promise<Message>} Rejects with a `SendFailed`.
   */
  async send(to, text, how) {
    const message = this.#newMessage(to, text, how);
    await this.#add(message);
    return new Promise((resolve, reject) => {
      const key = keyOf(message);
      this.#waiters.set(key, [...(this.#waiters.get(key) ?? []), { resolve, reject }]);
      this.#enqueue(message);
      if (!this.#running || isEnd(this.#state.name)) this.#abandon();
    });
  }

  /**
   * Resolves when it is kept, with the message (`waiting`).
   * @param {string} to @param {string} text @param {{id?: string}} [how]
   */
  async post(to, text, how) {
    const message = this.#newMessage(to, text, how);
    await this.#add(message);
    this.#enqueue(message);
    return message;
  }

  /** @param {string} to @param {string} text @param {{id?: string}} [how] */
  #newMessage(to, text, how) {
    const own = this.mobileNo;
    return newMessage(digits(to), text, { ...how, own, maxBytes: this.#core.maxBytes, timestamp: this.clock.wall() });
  }

  /** @param {Message} message */
  async #add(message) {
    await this.#kept(() => this.store.add(message));
    this.#emit("posted", message);
  }

  /** @param {Message} message */
  #enqueue(message) {
    if (this.#running) this.#do((now) => this.#core.outgoing.add(now, [message]));
  }

  /** A failed message waits again (C24). @param {string} id @returns {Promise<Message>} As it waits now. */
  async retry(id) {
    const change = { kind: /** @type {const} */ ("retried"), id, newId: randomId(), timestamp: this.clock.wall() };
    const [news] = await this.#kept(() => this.store.apply([change]));
    if (!news?.message) throw new SendFailed("not_found", "No message that failed has this id.", id);
    const { message } = news;
    this.#emit("posted", message);
    this.#enqueue(message);
    return message;
  }

  /** A failed message is forgotten. @param {string} id */
  async discard(id) {
    await this.#kept(() => this.store.apply([{ kind: "discarded", id }]));
  }

  /** Another user of the same store has written to it: there may be more to send. */
  async outboxChanged() {
    if (!this.#running) return;
    const { waiting, reads } = await this.#kept(() => this.store.load());
    this.#do((now) => {
      this.#core.outgoing.add(now, waiting);
      for (const { peer, ids } of reads) this.#core.incoming.read(now, peer, ids);
    });
  }

  // ---- receiving

  /** Called with each message of others, one after the other; it is acknowledged when the handler has returned (C27). */
  get onMessage() {
    return this.#handler;
  }

  /** @param {Handler | null} handler */
  set onMessage(handler) {
    this.#handler = handler;
    this.#iterated = false;
    this.#setTaker();
  }

  /**
   * The messages of others: one is acknowledged when the next one is asked for. Ends at `stop()`; rejects when the
   * client is `stopped` or `loggedOut`.
   * @returns {AsyncIterableIterator<Message>}
   */
  messages() {
    /** @type {{message: Message, taken: (taken: boolean) => void} | null} */
    let offered = null;
    let isInHands = false;
    let isDone = false;
    let isOver = isEnd(this.#state.name) && this.#state.name !== "off"; // off: it may not have been started yet
    let wake = () => {};
    const iterator = {
      /** @param {Message} message @returns {Promise<boolean>} */
      offer(message) {
        return new Promise((taken) => {
          offered = { message, taken };
          wake();
        });
      },
      wake: () => {
        isOver = isEnd(this.#state.name);
        wake();
      },
    };
    /** @param {boolean} isTaken */
    const release = (isTaken) => {
      offered?.taken(isTaken);
      offered = null;
      isInHands = false;
    };
    const close = () => {
      isDone = true;
      if (this.#iterator === iterator) this.#iterator = null;
      this.#setTaker();
      release(false);
      return { done: /** @type {const} */ (true), value: undefined };
    };
    this.#iterator = iterator;
    this.#iterated = true;
    this.#setTaker();
    return {
      next: async () => {
        if (isInHands) release(true);
        while (!offered && !isDone && !isOver) {
          await new Promise((resolve) => (wake = () => resolve(undefined)));
        }
        if (isOver && this.#state.name !== "off") {
          close();
          throw this.#why();
        }
        if (!offered || isOver) return close();
        isInHands = true;
        return { done: false, value: offered.message };
      },
      return: async () => close(),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /**
   * @template {keyof Events} K
   * @param {K} name
   * @param {(value: Events[K]) => void} listener
   * @returns {() => void} Ends it.
   */
  on(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    if (name === "message") this.#setTaker();
    return () => {
      listeners.delete(listener);
      if (name === "message") this.#setTaker();
    };
  }

  /** A person saw these messages (C34). @param {string} peer @param {string[]} ids */
  async markRead(peer, ids) {
    await this.#kept(() => this.store.apply([{ kind: "read", peer, ids }]));
    if (this.#running) this.#do((now) => this.#core.incoming.read(now, peer, ids));
  }

  // Where neither a handler nor a listener is and the store keeps no texts, chats stay at the server.
  #setTaker() {
    const hands = this.#handler || this.#iterator;
    const isHeard = this.store.history || (this.#listeners.get("message")?.size ?? 0) > 0;
    const taker = hands ? "handler" : isHeard && !this.#iterated ? "store" : "nobody";
    this.#do(() => this.#core.incoming.setTaker(taker));
  }

  // ---- presence and typing

  /** May be called at each key (C37). @param {string} to @param {boolean} [active] */
  typing(to, active = true) {
    this.#do((now) => this.#core.people.type(now, digits(to), active));
  }

  /** @param {string[]} numbers */
  watch(numbers) {
    this.#do(() => this.#core.people.watch(numbers.map(digits)));
  }

  /** @param {string[]} numbers */
  unwatch(numbers) {
    this.#do(() => this.#core.people.unwatch(numbers.map(digits)));
  }

  /** What is known of somebody who is watched. @param {string} mobileNo */
  presence(mobileNo) {
    return this.#core.people.presence.get(mobileNo);
  }

  /** @param {string} mobileNo */
  isTyping(mobileNo) {
    return this.#core.people.typing.has(mobileNo);
  }

  // ---- running what the core decides

  /** @param {(now: number) => void} input */
  #do(input) {
    input(this.clock.now());
    if (this.#draining) return; // called by a listener: what it brought comes behind what is being done
    this.#draining = true;
    try {
      for (let effects = this.#core.take(); effects.length; effects = this.#core.take()) {
        for (const effect of effects) this.#run(effect);
      }
    } finally {
      this.#draining = false;
    }
    this.#cancelTimer();
    const deadline = this.#core.deadline();
    if (deadline === Infinity) return;
    const wake = () => this.#do((now) => this.#core.wake(now));
    this.#cancelTimer = this.clock.later(wake, deadline - this.clock.now());
  }

  /** @param {Effect} effect */
  #run(effect) {
    switch (effect.do) {
      case "ticket":
        return void this.#getTicket(effect);
      case "open":
        return this.#open(effect);
      case "close":
        return this.#close();
      case "send":
        return this.#send(effect.frames);
      case "forget":
        return void this.#keep(() => this.sessions.end("session_revoked"));
      case "state":
        return this.#show(effect.state, effect.wait);
      case "hand":
        return void this.#hand(effect);
      case "apply":
        return void this.#apply(effect);
      case "saveEpoch":
        return void this.#keep(() => this.store.saveEpoch(effect.epoch));
      case "settle":
        return this.#settle(effect);
      case "abandon":
        return this.#abandon();
      case "emit":
        return this.#emit(effect.name, effect.value);
    }
  }

  /** @param {Effect & {do: "ticket"}} effect */
  async #getTicket({ round, refresh, logIn }) {
    try {
      await this.api.changing;
      const session = await this.sessions.get();
      if (!session) await this.#logInAgain(logIn);
      else if (refresh) await this.sessions.refresh(session.token);
      this.#remember(this.session);
      const ticket = await this.api.ticket();
      this.#do((now) => this.#core.ticket(now, round, ticket));
    } catch (error) {
      if (!(error instanceof ApiError)) return this.#storeFailed(error);
      this.#do((now) => this.#core.refused(now, round, error, error instanceof LogInRefused));
    }
  }

  /** @param {boolean} may */
  async #logInAgain(may) {
    if (!may || !this.options.password) throw new LogInRefused(401, "token_missing", "There is no session.");
    try {
      await this.#logIn();
    } catch (error) {
      const { status, code, message, ...more } = asError(error);
      throw passes(error) || code === "too_many_devices" ? error : new LogInRefused(status, code, message, more);
    }
  }

  /** @param {Effect & {do: "open"}} effect */
  #open({ round, ticket }) {
    const address = new URL(this.api.url);
    address.protocol = address.protocol.replace("http", "ws");
    address.searchParams.set("ticket", ticket);
    const socket = new (/** @type {typeof WebSocket} */ (this.#webSocket()))(address.href, ["wm.v1"]);
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      this.#do((now) => this.#core.received(now, round, typeof data === "string" ? data : null));
    };
    socket.onclose = ({ code, reason }) => this.#do((now) => this.#core.closed(now, round, code, reason));
    socket.onerror = () => undefined; // a close follows, and says what is known
  }

  #close() {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }

  /** @param {Record<string, unknown>[]} frames */
  #send(frames) {
    for (const frame of frames) {
      this.#emit("frame", { direction: "out", frame }); // who looks on hears of it before anybody can answer it
      this.#socket?.send(JSON.stringify(frame));
    }
  }

  /** @param {Effect & {do: "hand"}} effect */
  async #hand({ token, message }) {
    const isNews = await this.#keep(async () => (await this.store.unknown([message])).length > 0);
    if (isNews === undefined) return;
    let taken = true;
    try {
      if (isNews && this.#iterator) taken = await this.#iterator.offer(message);
      else if (isNews && this.#handler) await this.#handler(message);
      else if (isNews) taken = false;
    } catch (failed) {
      return this.#do(() => this.#core.incoming.handled(token, { failed }));
    }
    this.#do(() => {
      if (taken) this.#core.incoming.handled(token, {});
      else this.#core.incoming.givenBack(token);
    });
  }

  /** @param {Effect & {do: "apply"}} effect */
  async #apply({ token, changes }) {
    const news = await this.#keep(() => (changes.length ? this.store.apply(changes) : Promise.resolve([])));
    if (news) this.#do((now) => this.#core.applied(now, token, news));
  }

  /** @template T @param {() => Promise<T>} write @returns {Promise<T | undefined>} */
  async #keep(write) {
    try {
      return await this.#kept(write);
    } catch (error) {
      this.#storeFailed(error);
      return undefined;
    }
  }

  /** @param {unknown} error */
  #storeFailed(error) {
    this.#do(() => this.#core.storeFailed(error));
  }

  /** @param {Effect & {do: "settle"}} effect */
  #settle({ message, timestamp, error }) {
    const waiters = this.#waiters.get(keyOf(message)) ?? [];
    this.#waiters.delete(keyOf(message));
    for (const { resolve, reject } of waiters) {
      if (error) reject(new SendFailed(error.code, error.message, message.id));
      else resolve({ ...message, state: "sent", timestamp: timestamp ?? message.timestamp });
    }
  }

  /** C40. */
  #abandon() {
    const all = [...this.#waiters];
    this.#waiters.clear();
    for (const [key, waiters] of all) {
      const error = new SendFailed("stopped", "The client ended before the answer; the message is kept.", idOf(key));
      for (const { reject } of waiters) reject(error);
    }
  }

  /** @param {State} state @param {number} [wait] ms */
  #show(state, wait) {
    this.#state = wait === undefined ? state : { ...state, until: Math.ceil(this.clock.wall() + wait) };
    if (state.name === "off") this.#ended();
    this.#emit("state", this.#state);
    for (const watcher of [...this.#watchers]) this.#check(watcher);
    this.#iterator?.wake();
  }

  #ended() {
    this.#running = false;
    this.sessions.run(false);
    if (typeof removeEventListener === "function") removeEventListener("online", this.#onNetwork);
  }

  /** @param {"online" | "end"} until @returns {Promise<void>} */
  #until(until) {
    return new Promise((resolve, reject) => {
      const watcher = { until, resolve, reject };
      this.#watchers.add(watcher);
      this.#check(watcher);
    });
  }

  /** @param {{until: "online" | "end", resolve: () => void, reject: (error: Error) => void}} watcher */
  #check(watcher) {
    const { name } = this.#state;
    if (name === (watcher.until === "end" ? "off" : "online")) watcher.resolve();
    else if (watcher.until === "online" && isEnd(name)) watcher.reject(this.#why());
    else return;
    this.#watchers.delete(watcher);
  }

  /** Why it does not run. */
  #why() {
    const { name, code = name, reason = "The client is not running.", cause } = this.#state;
    return Object.assign(new ApiError(0, code, reason), { cause });
  }

  /** @template {keyof Events} K @param {K} name @param {Events[K]} value */
  #emit(name, value) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(value);
      } catch (error) {
        mistake(error);
      }
    }
  }

  #webSocket() {
    return this.options.WebSocket ?? globalThis.WebSocket;
  }

  /** @param {SessionEnded | null} error @param {string} code */
  #sessionEnded(error, code) {
    this.#do(() => this.#core.sessionEnded(code, error?.message, Boolean(error && this.options.password)));
  }

  #bearer() {
    return {
      /** @template T @param {(token: string) => Promise<T>} ask */
      withToken: (ask) => this.sessions.withToken(ask),
      /** @param {Session} session */
      adopt: async (session) => {
        await this.sessions.adopt(session);
        this.#remember(session);
        if (this.#state.name === "loggedOut") this.#do(() => this.#core.loggedIn());
      },
      /** @param {string} code */
      end: (code) => this.sessions.end(code),
    };
  }
}

/** A listener's: the program hears of it as of any that nobody has caught, and the client goes on. @param {unknown} error */
function mistake(error) {
  if (typeof reportError === "function") return reportError(error);
  queueMicrotask(() => {
    throw error;
  });
}

/** @param {State["name"]} name */
const isEnd = (name) => name === "off" || name === "stopped" || name === "loggedOut";

/** Nobody may log in just now: not for a while, but for good. */
class LogInRefused extends ApiError {}

/** Whether the same may succeed later. @param {unknown} error */
const passes = (error) => error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);

/** @param {unknown} error @returns {ApiError} */
const asError = (error) =>
  error instanceof ApiError ? error : new ApiError(0, "store_failed", "The store does not answer.");

/** Digits of a number as people write it. @param {string} number */
const digits = (number) => number.replace(/[\s().\/-]/g, "").replace(/^\+/, "");

/** @param {Message} message */
const keyOf = ({ peer, id }) => `${peer} ${id}`;
/** @param {string} key */
const idOf = (key) => key.slice(key.indexOf(" ") + 1);
