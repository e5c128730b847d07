// One client as a state machine without I/O. What happens and when (monotonic ms) goes in by method calls; what is to
// be done comes out by `take()` as effects, and when to call `wake` next by `deadline()`.

import { asText, isSeconds, isTime } from "./errors.js";
import { Incoming } from "./incoming.js";
import { Outgoing } from "./outgoing.js";
import { People } from "./people.js";

/** @import { Change, Events, Kept, Message, News, State } from "./types.js" */

/**
 * - `ticket`: get one, after a refresh if `refresh`, and a log-in with the password if there is no session and `logIn`;
 *   reply with `ticket` or `refused`
 * - `open`: a socket with it; reply with `received` and `closed`. `close`: the socket, and never reply for it again
 * - `forget`: the session has ended
 * - `state`: show it; `wait` is how long a pause lasts
 * - `hand`: the message to the handler, if the store does not know it; reply with `handled`
 * - `apply`: to the store; reply with `applied`
 * - `settle`: what waits for this message's answer gets it; `abandon`: everybody who waits for one fails
 * @typedef {{do: "ticket", round: number, refresh: boolean, logIn: boolean}
 *   | {do: "open", round: number, ticket: string}
 *   | {do: "close"}
 *   | {do: "send", frames: Frame[]}
 *   | {do: "forget"}
 *   | {do: "state", state: State, wait?: number}
 *   | {do: "hand", token: number, message: Message}
 *   | {do: "apply", token: number, changes: Change[]}
 *   | {do: "saveEpoch", epoch: string}
 *   | {do: "settle", message: Message, timestamp?: number, error?: {code: string, message: string}}
 *   | {do: "abandon"}
 *   | {[K in keyof Events]: {do: "emit", name: K, value: Events[K]}}[keyof Events]} Effect
 */

/** @typedef {Record<string, any>} Frame As it came: unknown fields may be there, and known ones of any type. */

const HELLO_MS = 10_000;
const PONG_MS = 10_000;
const SHORTEST_PING_S = 1;
const STEADY_MS = 10_000;
const PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
const SESSION_ENDED = 4509;
const TOKEN_EXPIRED = 4501;
const MOST_LETTERS = 1 << 20; // of one message; the server sends at most 256 KiB

/** Ends that may be the fault of what was sent (C26). */
const BLAMED = new Set([1002, 1007, 1009, 4503]);
/** Close codes after which the client connects by itself (C13). @param {number} code */
const reconnects = (code) => (code < 4000 ? code !== 1008 && code !== 1011 : code < 4500);

/** Fields without which a frame is passed over (C16). @type {Record<string, Record<string, string>>} */
const SHAPES = {
  hello: { epoch: "string", mobileNo: "string" },
  sent: { messageId: "string", to: "string", timestamp: "number" },
  chat: { from: "string", messageId: "string", message: "string", timestamp: "number", streamId: "string" },
  ack: { from: "string", messageIds: "object", ackType: "string", timestamp: "number", streamId: "string" },
  own: { to: "string", messageId: "string", message: "string", timestamp: "number", streamId: "string" },
  ownRead: { from: "string", messageIds: "object", streamId: "string" },
  presence: { mobileNo: "string", online: "boolean" },
  typing: { from: "string", active: "boolean" },
  resync: { epoch: "string" },
  error: { code: "string" },
};

export class Core {
  /** @param {{random: () => number}} how */
  constructor({ random }) {
    this.random = random;
    /** @type {Effect[]} */
    this.effects = [];
    /** @type {Map<string, {at: number, run: (now: number) => void}>} */
    this.timers = new Map();
    /** @type {State} */
    this.state = { name: "off" };
    this.round = 0; // what belongs to an older connection is passed over
    this.tokens = 0;
    this.own = "";
    /** @type {string | null} */
    this.epoch = null;
    this.maxBytes = 16 * 1024;
    this.pingMs = 20_000;
    this.failures = 0;
    this.hasSocket = false;
    this.online = false; // its `hello` came
    this.onlineSince = 0;
    this.refreshFirst = false;
    /** @type {number | undefined} Seconds. */
    this.retryAfter = undefined;
    this.obeying = false; // the pause is one that the server asked for
    this.stopping = false;
    this.mayLogIn = true;
    /** Why it connected without a pause since a connection was last good for long. @type {Set<string>} */
    this.hurried = new Set();
    this.outgoing = new Outgoing(this);
    this.incoming = new Incoming(this);
    this.people = new People(this);
  }

  /** Whether it connects by itself, now or later. */
  get running() {
    return ["connecting", "online", "pausing"].includes(this.state.name);
  }

  // ---- what parts of it use

  /** @param {Effect} effect */
  effect(effect) {
    this.effects.push(effect);
  }

  /** @template {keyof Events} K @param {K} name @param {Events[K]} value */
  emit(name, value) {
    this.effects.push(/** @type {Effect} */ ({ do: "emit", name, value }));
  }

  /** Only while online. @param {Frame[]} frames */
  send(...frames) {
    if (this.online) this.effect({ do: "send", frames });
  }

  /** @param {string} name @param {number} at @param {(now: number) => void} run */
  at(name, at, run) {
    this.timers.set(name, { at, run });
  }

  /** @param {string} name */
  cancel(name) {
    this.timers.delete(name);
  }

  nextToken() {
    return (this.tokens += 1);
  }

  // ---- for the shell

  /** What is to be done, in this order. */
  take() {
    const effects = this.effects;
    this.effects = [];
    return effects;
  }

  /** When `wake` is to be called, or Infinity. */
  deadline() {
    let first = Infinity;
    for (const { at } of this.timers.values()) first = Math.min(first, at);
    return first;
  }

  /** @param {number} now */
  wake(now) {
    for (;;) {
      const due = [...this.timers].filter(([, { at }]) => at <= now).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) return;
      this.timers.delete(due[0]);
      due[1].run(now);
    }
  }

  /**
   * The shell knows its store: begin.
   * @param {number} now
   * @param {Kept} kept
   * @param {{code: string, message: string, retryAfter?: number} | null} error Why there is no session yet.
   */
  start(now, kept, error = null) {
    this.epoch = kept.epoch;
    this.stopping = false;
    this.mayLogIn = true;
    this.failures = 0;
    this.outgoing.load(kept.waiting);
    this.incoming.load(kept.reads);
    if (error) this.pause(now, { code: error.code, reason: error.message }, error.retryAfter);
    else this.connect();
  }

  /** A person or the program wants it (`byPerson`), or the machine says that its network is back. */
  connectNow(byPerson = true) {
    if (this.state.name !== "pausing" && !(byPerson && this.state.name === "stopped")) return;
    if (!byPerson && this.obeying) return;
    this.connect();
  }

  /** There is a new session, by the password; once until a connection was steady (C5). */
  didLogIn() {
    this.mayLogIn = false;
  }

  /** A person has logged in. */
  loggedIn() {
    if (this.state.name !== "off") this.connect();
  }

  /** The session ended by a log-out here, or as an answer to a request said. */
  sessionEnded(code = "logged_out", reason = "", mayLogIn = false) {
    if (this.state.name === "off" || this.state.name === "loggedOut") return;
    if (mayLogIn && this.mayLogIn) return this.connect();
    this.finish({ name: "loggedOut", code, reason });
  }

  /** @param {number} now @param {number} ms The longest that it may take. */
  stop(now, ms) {
    this.stopping = true;
    if (!this.online) return this.finish({ name: "off" });
    this.incoming.flush();
    this.at("stop", now + ms, () => this.finish({ name: "off" }));
    this.checkStopped();
  }

  /** A stop waits for answers and acknowledgements (C39). */
  checkStopped() {
    if (!this.stopping || this.state.name === "off") return;
    if (!this.outgoing.flights.size && this.incoming.idle) this.finish({ name: "off" });
  }

  /** The store does not keep any more. @param {unknown} cause @param {number} [token] Of what it failed to keep. */
  storeFailed(cause, token) {
    if (token !== undefined) this.incoming.notKept(token);
    const reason = "What came could not be kept, so nothing more is accepted.";
    if (this.running) this.finish({ name: "stopped", code: "store_failed", reason, cause });
  }

  // ---- connecting

  connect() {
    this.drop();
    this.show({ name: "connecting" });
    this.effect({ do: "ticket", round: this.round, refresh: this.refreshFirst, logIn: this.mayLogIn });
    this.refreshFirst = false;
  }

  /** @param {number} now @param {number} round @param {string} ticket */
  ticket(now, round, ticket) {
    if (round !== this.round) return;
    this.hasSocket = true;
    this.effect({ do: "open", round, ticket });
    this.at("hello", now + HELLO_MS, (then) => this.lose(then, "The server did not answer."));
  }

  /**
   * No ticket was to be had (C14).
   * @param {number} now
   * @param {number} round
   * @param {{code: string, message: string, retryAfter?: number}} error
   * @param {boolean} isFinal There is no session, and no log-in without a person.
   */
  refused(now, round, { code, message, retryAfter }, isFinal) {
    if (round !== this.round) return;
    if (code === "too_many_devices") return this.finish({ name: "stopped", code, reason: message });
    if (isFinal) return this.finish({ name: "loggedOut", code, reason: message });
    this.pause(now, { code, reason: message }, retryAfter);
  }

  /** @param {number} now @param {number} round @param {string | null} text Null if it was not text. */
  received(now, round, text) {
    if (round !== this.round) return;
    const frames = parse(text);
    if (!frames) return this.lose(now, "The server sent something that is no frame.");
    this.heard(now);
    for (const frame of frames) this.emit("frame", { direction: "in", frame });
    const known = frames.filter(isWhole);
    for (const frame of known) this.handle(now, frame);
    if (round === this.round) this.incoming.take(now, known);
  }

  /** What is not kept in the store. @param {number} now @param {Frame} frame */
  handle(now, frame) {
    if (frame.type === "hello" && !this.online) this.hello(now, frame);
    else if (frame.type === "resync") this.resync(now, frame.epoch, asText(frame.reason));
    else if (frame.type === "presence" || frame.type === "typing") this.people.came(now, frame);
    else if (frame.type === "error") this.refusal(now, frame);
  }

  /** @param {number} now @param {Frame} frame */
  hello(now, frame) {
    this.cancel("hello");
    this.online = true;
    this.onlineSince = now;
    this.own = frame.mobileNo;
    if (frame.maxMessageBytes > 0) this.maxBytes = frame.maxMessageBytes;
    if (isSeconds(frame.pingSeconds)) this.pingMs = Math.max(SHORTEST_PING_S, frame.pingSeconds) * 1000;
    this.heard(now);
    this.at("steady", now + STEADY_MS, () => this.steady());
    this.show({ name: "online" });
    if (frame.epoch !== this.epoch) this.resync(now, frame.epoch, "another epoch");
    this.incoming.online(now);
    this.people.online();
    this.outgoing.pump(now);
  }

  /** C35. The first epoch of all is none that changed. @param {number} now @param {string} epoch @param {string} reason */
  resync(now, epoch, reason) {
    const isFirst = this.epoch === null;
    this.epoch = epoch;
    this.effect({ do: "saveEpoch", epoch });
    if (isFirst) return;
    this.incoming.forgetStreamIds();
    this.outgoing.again(now);
    this.emit("resync", { reason });
  }

  steady() {
    this.failures = 0;
    this.mayLogIn = true;
  }

  /** @param {number} now */
  heard(now) {
    this.cancel("pong");
    if (!this.online) return;
    this.at("ping", now + this.pingMs, (then) => this.ping(then));
    if (now - this.onlineSince >= STEADY_MS) this.hurried.clear();
  }

  /** C15. @param {number} now */
  ping(now) {
    this.send({ type: "ping" });
    this.at("pong", now + PONG_MS, (then) => this.again(then, "ping", "The connection does not answer any more."));
  }

  /** @param {number} now @param {Frame} frame */
  refusal(now, { ...frame }) {
    if (!isSeconds(frame.retryAfter)) delete frame.retryAfter;
    if (frame.code === "draining") this.retryAfter = frame.retryAfter;
    if (this.people.refused(now, frame) || this.outgoing.refused(now, frame)) return;
    this.incoming.refused(now, frame);
    const { type: _, ...rest } = frame;
    this.emit("notice", { ...rest, code: frame.code, message: asText(frame.message), component: asText(frame.component) });
  }

  // ---- ends

  /** @param {number} now @param {number} round @param {number} code @param {string} reason */
  closed(now, round, code, reason) {
    if (round !== this.round) return;
    this.hasSocket = false;
    this.end(BLAMED.has(code));
    if (this.stopping) return this.finish({ name: "off" });
    if (code === SESSION_ENDED) {
      this.effect({ do: "forget" });
      this.finish({ name: "loggedOut", code: String(code), reason });
    } else if (code === TOKEN_EXPIRED) {
      this.refreshFirst = true;
      this.again(now, "refresh", reason);
    } else if (reconnects(code)) {
      this.pause(now, { code: String(code), reason: reason || "The connection was lost." }, this.retryAfter);
    } else {
      this.finish({ name: "stopped", code: String(code), reason });
    }
  }

  /** The client itself gives it up. @param {number} now @param {string} reason @param {boolean} [blame] */
  lose(now, reason, blame = false) {
    this.end(blame);
    if (this.stopping) this.finish({ name: "off" });
    else this.pause(now, { reason }, this.retryAfter);
  }

  /** It connects at once, but not twice in a row. @param {number} now @param {string} why @param {string} reason */
  again(now, why, reason) {
    if (this.stopping) return this.finish({ name: "off" });
    if (this.hurried.has(why)) return this.pause(now, { reason }, this.retryAfter);
    this.hurried.add(why);
    this.connect();
  }

  /** @param {number} now @param {{code?: string, reason: string}} why @param {number} [retryAfter] Seconds (C11, C12). */
  pause(now, why, retryAfter) {
    this.drop();
    const limit = Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ** this.failures);
    this.obeying = retryAfter !== undefined;
    const wait = retryAfter === undefined ? this.random() * limit : retryAfter * 1000 + this.random() * 1000;
    this.failures += 1;
    this.at("pause", now + wait, () => this.connect());
    this.show({ name: "pausing", ...why }, wait);
  }

  /** It connects no more by itself. @param {State} state */
  finish(state) {
    this.drop();
    this.incoming.stop();
    this.timers.clear();
    this.show(this.stopping ? { name: "off" } : state); // it was to end in any case
    this.stopping = false;
    this.effect({ do: "abandon" });
  }

  /** Whatever there is of a connection is over. */
  drop() {
    this.end();
    if (this.hasSocket) this.effect({ do: "close" });
    this.hasSocket = false;
    this.retryAfter = undefined;
    this.round += 1;
  }

  /** A connection is over. @param {boolean} [blame] What had no answer may be the reason (C26). */
  end(blame = false) {
    for (const name of ["hello", "ping", "pong", "steady", "pause"]) this.cancel(name);
    if (!this.online) return;
    this.online = false;
    this.outgoing.ended(blame);
    this.incoming.ended();
    this.people.ended();
  }

  /** @param {State} state @param {number} [wait] */
  show(state, wait) {
    this.state = state;
    this.effect({ do: "state", state, wait });
  }

  /** The store has kept it. @param {number} now @param {number} token @param {News[]} news */
  applied(now, token, news) {
    this.incoming.applied(now, token, news);
    this.checkStopped();
  }
}

/** The frames of a message; null if it is none. @param {string | null} text @returns {Frame[] | null} */
function parse(text) {
  if (text === null || text.length > MOST_LETTERS) return null;
  try {
    const value = JSON.parse(text.replace(/^\ufeff/, ""));
    return (Array.isArray(value) ? value : [value]).filter((one) => one !== null && typeof one === "object");
  } catch {
    return null;
  }
}

/** @param {Frame} frame */
function isWhole(frame) {
  const shape = typeof frame.type === "string" && Object.hasOwn(SHAPES, frame.type) ? SHAPES[frame.type] : null;
  if (!shape || !Object.entries(shape).every(([name, type]) => typeof frame[name] === type)) return false;
  if (shape.timestamp && !isTime(frame.timestamp)) return false;
  const ids = frame.messageIds;
  return shape.messageIds === undefined || (Array.isArray(ids) && ids.every((id) => typeof id === "string"));
}
