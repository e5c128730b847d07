// What the tests of the core share: time that passes when a test says so, a server that says what a test wants.

import { Core } from "../../../clients/js/src/core.js";

export const ME = "919800000001";
export const BELA = "919800000002";
export const CARL = "919800000003";

/** @param {string} id @param {string} [peer] @param {string} [text] */
export const waiting = (id, peer = BELA, text = `text of ${id}`) => ({
  id, peer, text, mine: true, timestamp: 1, state: "waiting",
});

/** @param {number} n Its place. @param {object} [more] */
export const chat = (n, more = {}) => ({
  type: "chat", from: BELA, to: ME, messageId: `c${n}`, message: `text ${n}`, mode: "online", timestamp: n, streamId: `${n}-0`, ...more,
});

export const sent = (messageId, to = BELA, timestamp = 5) => ({ type: "sent", messageId, to, timestamp });
export const receipt = (messageIds, ackType = "delivered", n = 90) => ({
  type: "ack", from: BELA, to: ME, messageIds, ackType, timestamp: n, streamId: `${n}-0`,
});
export const refusal = (code, more = {}) => ({ type: "error", code, component: "chat", message: "No.", retryable: false, ...more });

/** What a store that knows nothing would say. */
function newsOf(change) {
  const { kind, message, peer, ids, id, state, timestamp, error } = change;
  if (message) return { kind, peer: message.peer, ids: [message.id], message };
  if (kind === "failed") return { kind, peer, ids: [id], message: { ...waiting(id, peer), state: "failed", error } };
  return { kind, peer, ids: ids ?? [id], state: kind === "sent" ? "sent" : state, timestamp };
}

export class World {
  /** @param {{kept?: object, taker?: "store" | "handler" | "nobody", keeps?: boolean}} [how] keeps: the store answers. */
  constructor({ kept = {}, taker = "store", keeps = true } = {}) {
    this.now = 1_000;
    this.random = 0;
    this.keeps = keeps;
    this.core = new Core({ random: () => this.random });
    this.forget();
    this.do((core) => core.incoming.setTaker(taker));
    this.kept = { session: null, epoch: "e1", waiting: [], reads: [], ...kept };
  }

  /** What was seen so far is of no interest. */
  forget() {
    this.frames = [];
    this.events = [];
    this.states = [];
    this.effects = [];
    this.hands = [];
    this.applies = [];
    this.settled = [];
    return this;
  }

  /** @param {(core: Core, now: number) => void} input */
  do(input) {
    input(this.core, this.now);
    for (let effects = this.core.take(); effects.length; effects = this.core.take()) effects.forEach((one) => this.see(one));
    return this;
  }

  see(effect) {
    this.effects.push(effect);
    if (effect.do === "send") this.frames.push(...effect.frames);
    if (effect.do === "emit" && effect.name !== "frame") this.events.push([effect.name, effect.value]);
    if (effect.do === "state") this.states.push(effect.state.name);
    if (effect.do === "state" && effect.wait !== undefined) this.wait = effect.wait;
    if (effect.do === "hand") this.hands.push(effect);
    if (effect.do === "settle") this.settled.push([effect.message.id, effect.error?.code ?? "sent"]);
    if (effect.do !== "apply") return;
    this.applies.push(effect);
    if (this.keeps) this.core.applied(this.now, effect.token, effect.changes.map(newsOf));
  }

  /** @param {number} ms */
  pass(ms) {
    const until = this.now + ms;
    while (this.core.deadline() <= until) {
      this.now = Math.max(this.now, this.core.deadline());
      this.do((core, now) => core.wake(now));
    }
    this.now = until;
    return this;
  }

  /** Time passes, and the server answers pings. @param {number} ms */
  live(ms) {
    for (let left = ms; left > 0; left -= 5_000) this.pass(Math.min(left, 5_000)).receive({ type: "pong" });
    return this;
  }

  start() {
    return this.do((core, now) => core.start(now, this.kept));
  }

  ticket() {
    return this.do((core, now) => core.ticket(now, core.round, "t"));
  }

  hello(more = {}) {
    return this.receive({ type: "hello", mobileNo: ME, epoch: "e1", pingSeconds: 20, maxMessageBytes: 16384, ...more });
  }

  /** From off to online. */
  online(more) {
    return this.start().ticket().hello(more);
  }

  /** From a pause, or from connecting, to online. */
  reconnect(more) {
    if (this.core.state.name === "pausing") this.pass(this.wait);
    return this.ticket().hello(more);
  }

  /** One message of the server's. */
  receive(...frames) {
    return this.hear(JSON.stringify(frames.length === 1 ? frames[0] : frames));
  }

  hear(text) {
    return this.do((core, now) => core.received(now, core.round, text));
  }

  close(code, reason = "") {
    return this.do((core, now) => core.closed(now, core.round, code, reason));
  }

  refuse(code, more = {}, isFinal = false) {
    return this.do((core, now) => core.refused(now, core.round, { code, message: "No.", ...more }, isFinal));
  }

  post(...messages) {
    return this.do((core, now) => core.outgoing.add(now, messages));
  }

  /** The handler returns. */
  returns(how = {}) {
    return this.do((core) => core.incoming.handled(this.hands.at(-1).token, how));
  }

  get state() {
    return this.core.state.name;
  }

  /** ids of the chats that went out, in their order. */
  get went() {
    return this.frames.filter(({ type }) => type === "chat").map(({ messageId }) => messageId);
  }

  /** `streamId`s that were acknowledged, one list for each frame. */
  get acks() {
    return this.frames.filter(({ ackType }) => ackType === "delivered").map(({ streamIds }) => streamIds);
  }

  /** Values of the events of this name. */
  heard(name) {
    return this.events.filter(([one]) => one === name).map(([, value]) => value);
  }

  /** Effects of this kind. */
  did(what) {
    return this.effects.filter((one) => one.do === what);
  }
}
