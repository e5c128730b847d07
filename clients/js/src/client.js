// The client: runs what its core decides, with a socket, timers, HTTP, the store and the program's handler.

import { Api } from "./api.js";
import { Core } from "./core.js";
import { ApiError, SendFailed, mistake } from "./errors.js";
import { digits, newMessage, randomId } from "./messages.js";
import { SessionEnded, Sessions } from "./session.js";
import { serial } from "./store.js";
import { Takers } from "./takers.js";

/** @import { Effect } from "./core.js" */
/** @import { Handler } from "./takers.js" */
/** @import { ClientOptions, Clock, Events, Message, Session, Socket, State, Store } from "./types.js" */

/**
 * @typedef {object} Watcher Waits for a state. `over`: off, but not by itself.
 * @property {"online" | "off" | "over"} until
 * @property {() => void} resolve
 * @property {(error: Error) => void} reject
 */

const LATE_MS = 500;
const READING_MS = 100;

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
  /** @type {ClientOptions} With the password. */
  #options;
  #takers = new Takers({ changed: () => this.#setTaker(), end: () => this.#end() });
  /** @type {Map<string, Set<(value: any) => void>>} */
  #listeners = new Map();
  /** @type {Map<string, {resolve: (message: Message) => void, reject: (error: SendFailed) => void}[]>} */
  #waiters = new Map();
  /** @type {Set<Watcher>} */
  #watchers = new Set();
  /** @type {Socket | null} */
  #socket = null;
  /** @type {Core} */
  #core;
  /** @type {Sessions} */
  #sessions;
  #kept = serial(); // what is written to the store, in the order in which it happened
  #cancelTimer = () => {};
  /** @type {AbortController | null} From `start()` to the end: it ends requests that nobody waits for any more. */
  #life = null;
  /** @type {Promise<void>} */
  #starting = Promise.resolve();
  #draining = false;
  #lateFor = 0;
  #readUntil = 0;
  /** @type {State} */
  #state = { name: "off" };
  #onNetwork = () => this.#do(() => this.#core.connectNow(false));

  /**
   * @param {string | URL} url Of the server (http or https), with the path prefix it may have.
   * @param {ClientOptions & {store: Store}} options A page that brings its store need not load the one in memory.
   * @throws {TypeError} The URL is none.
   */
  constructor(url, options) {
    this.#options = options;
    /** @type {Clock} */
    this.clock = options.clock ?? CLOCK;
    /** @type {Store} */
    this.store = options.store;
    this.#core = new Core({ random: this.clock.random });
    this.api = new Api(url, { fetch: options.fetch, bearer: this.#bearer() });
    this.#sessions = new Sessions({
      api: this.api,
      store: this.store,
      clock: this.clock,
      owner: options,
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
    return this.#sessions.current;
  }

  /** One's own number in digits, once it is known. */
  get mobileNo() {
    return this.#sessions.current?.mobileNo ?? this.#core.own;
  }

  /**
   * Logs in if there is no session, and begins to connect. To wait for the connection: `await client.online()`. Of a
   * client that is `stopped` it is `connectNow()`; of one that runs it does nothing.
   * @throws {ApiError} A log-in was refused for good, or the client is `loggedOut`. What may pass (429, 503, unreachable)
   *   does not reject: the client is `pausing` then.
   * @throws {StoreMismatch}
   * @throws {Error} The runtime has no WebSocket; or what the store throws.
   */
  async start() {
    if (!this.#webSocket()) {
      throw new Error(
        "This runtime has no WebSocket. Node 22 has one; Node 20 has one with --experimental-websocket. " +
          "Or give the client a class for it: new Client(url, { WebSocket }).",
      );
    }
    if (this.#life && this.#state.name === "stopped") return this.connectNow();
    if (this.#life && this.#state.name === "loggedOut") throw this.#why();
    if (!this.#life) {
      this.#life = new AbortController();
      this.#starting = this.#start(this.#life);
    }
    return this.#starting;
  }

  /** @param {AbortController} life */
  async #start(life) {
    this.#show({ name: "connecting" });
    try {
      const { session } = await this.store.load();
      const refusal = !session && this.#options.password ? await this.#firstLogIn(life.signal) : null;
      await this.#sessions.get();
      // Behind all that was posted until now. What is posted from now on the core is told of.
      const kept = await this.#kept(() => this.store.load());
      if (this.#life !== life) return; // stopped meanwhile
      this.#sessions.run(true);
      if (typeof addEventListener === "function") addEventListener("online", this.#onNetwork);
      this.#do((now) => this.#core.start(now, kept, refusal));
    } catch (error) {
      if (this.#life !== life) return;
      this.#life = null;
      const { code, message } = asError(error);
      if (error instanceof ApiError) this.#show({ name: "loggedOut", code, reason: message });
      else this.#show({ name: "stopped", code, reason: message, cause: error });
      throw error;
    }
  }

  /** @param {AbortSignal} signal @returns {Promise<ApiError | null>} A refusal that passes: the next try comes after a pause (C12). */
  async #firstLogIn(signal) {
    try {
      await this.#logIn({}, signal);
    } catch (error) {
      if (passes(error)) return /** @type {ApiError} */ (error);
      throw error;
    }
    return null;
  }

  /** Until it is online. @returns {Promise<void>} Rejects with an `ApiError` when it is `stopped`, `loggedOut` or `off`. */
  online() {
    return this.#until("online");
  }

  /**
   * Starts, and goes on until `stop()`: for bots.
   * @throws {ApiError} It stopped by itself. `cause` is what the handler or the store threw.
   */
  async run() {
    try {
      await this.start();
      await this.#until("over");
    } finally {
      await this.stop({ seconds: 0 });
    }
  }

  /**
   * Waits for answers and acknowledgements, at most so long, and closes (C39). In a handler or a loop over messages it
   * resolves at once: the client ends when the handler has returned, or the loop asks for the next one. Browsers cannot
   * tell that it is called there after an `await`, or in a loop: there do not wait for it.
   * @param {{seconds?: number}} [how]
   */
  async stop({ seconds = 10 } = {}) {
    const isInHands = this.#takers.isCaller;
    if (this.#life) this.#do((now) => this.#core.stop(now, seconds * 1000));
    if (isInHands) return;
    if (this.#life) await this.#until("off");
    await this.#sessions.settled();
    await this.#kept(async () => undefined);
  }

  /** Ends a pause, or `stopped`. @returns {void} */
  connectNow() {
    if (this.#life && this.#state.code === "store_failed") return void this.#reload(this.#life);
    this.#do(() => this.#core.connectNow());
  }

  /** What the store holds counts, not what it failed to keep. @param {AbortController} life */
  async #reload(life) {
    const kept = await this.#keep(() => this.store.load());
    if (kept && this.#life === life) this.#do((now) => this.#core.start(now, kept));
  }

  /**
   * Out of `loggedOut`. Messages that waited still do.
   * @param {string} password
   * @param {{mobileNo?: string, deviceId?: string, deviceName?: string, replaceDeviceId?: string}} [more]
   * @throws {ApiError}
   */
  async logIn(password, more = {}) {
    await this.#logIn({ password, ...more });
    if (this.#state.name === "loggedOut" && !this.#life) await this.start();
    else this.#do(() => this.#core.loggedIn());
  }

  /**
   * @param {{password?: string, mobileNo?: string, deviceId?: string, deviceName?: string, replaceDeviceId?: string}} how
   * @param {AbortSignal} [signal]
   */
  async #logIn(how, signal) {
    const { password = "", deviceId = this.#device, deviceName } = this.#options;
    const mobileNo = this.#number || (this.#options.mobileNo ?? "");
    const session = await this.api.logIn({ mobileNo, password, deviceId, deviceName, ...how }, signal);
    await this.#sessions.adopt(session);
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
   * @returns {Promise<Message>} Rejects with a `SendFailed`, or with what the store throws: then it is not kept.
   */
  async send(to, text, how) {
    const message = await this.#add(this.#newMessage(to, text, how));
    if (message.state !== "waiting") return message;
    return new Promise((resolve, reject) => {
      const key = keyOf(message);
      this.#waiters.set(key, [...(this.#waiters.get(key) ?? []), { resolve, reject }]);
      this.#enqueue(message);
      if (!this.#life || isEnd(this.#state.name)) this.#abandon();
    });
  }

  /**
   * Resolves when it is kept, with the message (`waiting`).
   * @param {string} to @param {string} text @param {{id?: string}} [how]
   * @throws {SendFailed} The server would refuse it in any case.
   */
  async post(to, text, how) {
    const message = await this.#add(this.#newMessage(to, text, how));
    if (message.state === "waiting") this.#enqueue(message);
    return message;
  }

  /** @param {string} to @param {string} text @param {{id?: string}} [how] */
  #newMessage(to, text, how) {
    const own = this.mobileNo;
    return newMessage(digits(to), text, { ...how, own, maxBytes: this.#core.maxBytes, timestamp: this.clock.wall() });
  }

  /** @param {Message} message @returns {Promise<Message>} As it is kept: it may have been sent already. */
  async #add(message) {
    const kept = await this.#kept(() => this.store.add(message));
    if (kept.text !== message.text) throw new SendFailed("message_id_reused", "Another text waits with this messageId.", kept.id);
    if (kept.state === "waiting") this.#emit("posted", kept);
    return kept;
  }

  /** @param {Message} message */
  #enqueue(message) {
    if (this.#life) this.#do((now) => this.#core.outgoing.add(now, [message]));
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

  /** Messages that failed, and were neither retried nor discarded. @returns {Promise<Message[]>} */
  async failed() {
    return (await this.#kept(() => this.store.load())).failed;
  }

  /** A failed message is forgotten. @param {string} id */
  async discard(id) {
    await this.#kept(() => this.store.apply([{ kind: "discarded", id }]));
  }

  /** Another user of the same store has written to it: there may be more to send. */
  async outboxChanged() {
    if (!this.#life) return;
    const { waiting, reads } = await this.#kept(() => this.store.load());
    this.#do((now) => {
      this.#core.outgoing.add(now, waiting);
      for (const { peer, ids } of reads) this.#core.incoming.read(now, peer, ids);
    });
  }

  // ---- receiving

  /** Called with each message of others, one after the other; it is acknowledged when the handler has returned (C27). */
  get onMessage() {
    return this.#takers.handler;
  }

  /** @param {Handler | null} handler @throws {ClientError} A loop over `messages()` takes them. */
  set onMessage(handler) {
    this.#takers.handler = handler;
  }

  /**
   * The messages of others: one is acknowledged when the next one is asked for. Ends at `stop()`; rejects when the
   * client is `stopped` or `loggedOut`, and with a `ClientError` where there is a handler or another such loop.
   * @returns {AsyncGenerator<Message, void, undefined>}
   */
  messages() {
    return this.#takers.messages();
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
    peer = digits(peer);
    await this.#kept(() => this.store.apply([{ kind: "read", peer, ids }]));
    if (this.#life) this.#do((now) => this.#core.incoming.read(now, peer, ids));
  }

  // Where neither a handler nor a listener is and the store keeps no texts, chats stay at the server.
  #setTaker() {
    const isHeard = this.store.history || (this.#listeners.get("message")?.size ?? 0) > 0;
    const { isThere, isAwaited } = this.#takers;
    const taker = isThere ? "handler" : isHeard && !isAwaited ? "store" : "nobody";
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
    return this.#core.people.presence.get(digits(mobileNo));
  }

  /** @param {string} mobileNo */
  isTyping(mobileNo) {
    return this.#core.people.typing.has(digits(mobileNo));
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
    this.#cancelTimer = this.clock.later(() => this.#wake(deadline), Math.max(deadline, this.#readUntil) - this.clock.now());
  }

  /** After a tab was frozen, or a program computed for long, what came meanwhile is read before the time counts. @param {number} deadline */
  #wake(deadline) {
    const now = this.clock.now();
    const isLate = now - deadline > LATE_MS && this.#lateFor !== deadline;
    if (isLate) [this.#lateFor, this.#readUntil] = [deadline, now + READING_MS];
    this.#do((then) => isLate || this.#core.wake(then));
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
        return void this.#keep(() => this.#sessions.end("session_revoked"));
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
    const signal = this.#life?.signal;
    let ticket = "";
    try {
      await this.api.changing;
      const session = await this.#sessions.get();
      if (!session) await this.#logInAgain(logIn, signal);
      else if (refresh) await this.#sessions.refresh(session.token);
      this.#remember(this.session);
      ticket = await this.api.ticket(signal);
    } catch (error) {
      if (!(error instanceof ApiError)) return this.#storeFailed(error);
      return this.#do((now) => this.#core.refused(now, round, error, error instanceof LogInRefused));
    }
    this.#do((now) => this.#core.ticket(now, round, ticket));
  }

  /** @param {boolean} may @param {AbortSignal} [signal] */
  async #logInAgain(may, signal) {
    if (!may || !this.#options.password) throw new LogInRefused(401, "token_missing", "There is no session.");
    try {
      await this.#logIn({}, signal);
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
    const WebSocket = /** @type {NonNullable<ClientOptions["WebSocket"]>} */ (this.#webSocket());
    let socket;
    try {
      socket = new WebSocket(address.href, ["wm.v1"]);
    } catch {
      // The page's policy does not allow the address, say. What it says may name the ticket.
      return this.#do((now) => this.#core.closed(now, round, 1006, "The socket could not be opened."));
    }
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
    const isNews = await this.#keep(async () => (await this.store.unknown([message])).length > 0, token);
    if (isNews === undefined) return;
    let taken = true;
    try {
      if (isNews) taken = await this.#takers.hand(message);
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
    const news = await this.#keep(() => (changes.length ? this.store.apply(changes) : Promise.resolve([])), token);
    if (news) this.#do((now) => this.#core.applied(now, token, news));
  }

  /** @template T @param {() => Promise<T>} task @param {number} [token] @returns {Promise<T | undefined>} Nothing if the store failed. */
  async #keep(task, token) {
    try {
      return await this.#kept(task);
    } catch (error) {
      this.#storeFailed(error, token);
      return undefined;
    }
  }

  /** @param {unknown} error @param {number} [token] */
  #storeFailed(error, token) {
    this.#do(() => this.#core.storeFailed(error, token));
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
    this.#takers.turned();
  }

  #ended() {
    this.#life?.abort();
    this.#life = null;
    this.#sessions.run(false);
    if (typeof removeEventListener === "function") removeEventListener("online", this.#onNetwork);
  }

  /** @param {Watcher["until"]} until @returns {Promise<void>} */
  #until(until) {
    return new Promise((resolve, reject) => {
      const watcher = { until, resolve, reject };
      this.#watchers.add(watcher);
      this.#check(watcher);
    });
  }

  /** @param {Watcher} watcher */
  #check(watcher) {
    const { until, resolve, reject } = watcher;
    const { name } = this.#state;
    if (name === (until === "online" ? "online" : "off")) resolve();
    else if (until !== "off" && isEnd(name)) reject(this.#why());
    else return;
    this.#watchers.delete(watcher);
  }

  /** Why no more messages come: null if it was stopped, undefined if they may. */
  #end() {
    const { name } = this.#state;
    return name === "off" ? null : isEnd(name) ? this.#why() : undefined;
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
    return this.#options.WebSocket ?? globalThis.WebSocket;
  }

  /** @param {SessionEnded | null} error @param {string} code */
  #sessionEnded(error, code) {
    this.#do(() => this.#core.sessionEnded(code, error?.message, Boolean(error && this.#options.password)));
  }

  #bearer() {
    return {
      /** @template T @param {(token: string) => Promise<T>} ask */
      withToken: (ask) => this.#sessions.withToken(ask),
      /** @param {Session} session */
      adopt: async (session) => {
        await this.#sessions.adopt(session);
        this.#remember(session);
        if (this.#state.name === "loggedOut") this.#do(() => this.#core.loggedIn());
      },
      /** @param {string} code */
      end: (code) => this.#sessions.end(code),
    };
  }
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

/** @param {Message} message */
const keyOf = ({ peer, id }) => `${peer} ${id}`;
/** @param {string} key */
const idOf = (key) => key.slice(key.indexOf(" ") + 1);
