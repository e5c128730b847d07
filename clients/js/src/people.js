// The part of the core that shows others: presence (C36) and typing (C37, C38). Nothing of it is kept.

import { asText, isTime } from "./errors.js";

/** @import { Core, Frame } from "./core.js" */

const WATCH_NUMBERS = 200;
const NAMED_NUMBERS = 16; // as many of a frame's numbers are repeated in its refusal
const TYPING_EVERY_MS = 3_000;
const TYPING_STOPS_MS = 5_000;
const TYPING_SHOWN_MS = 10_000;

export class People {
  /** @param {Core} core */
  constructor(core) {
    this.core = core;
    /** @type {Set<string>} */
    this.watched = new Set();
    /** @type {string[][]} Frames without an answer. */
    this.asked = [];
    /** @type {Map<string, {online: boolean, lastSeen?: number}>} */
    this.presence = new Map();
    /** @type {Map<string, number>} When the last `active:true` went to them. */
    this.typingTo = new Map();
    /** @type {Set<string>} */
    this.typing = new Set();
  }

  // ---- presence

  /** @param {string[]} numbers */
  watch(numbers) {
    const fresh = numbers.filter((number) => !this.watched.has(number));
    for (const number of fresh) this.watched.add(number);
    if (this.core.online) this.ask([...new Set(fresh)]);
  }

  /** @param {string[]} numbers */
  unwatch(numbers) {
    const gone = numbers.filter((number) => this.watched.delete(number));
    for (const number of gone) this.presence.delete(number);
    for (const mobileNos of this.core.online ? inFrames(gone) : []) this.core.send({ type: "unwatch", mobileNos });
  }

  /** @param {string[]} numbers */
  ask(numbers) {
    for (const mobileNos of inFrames(numbers)) {
      this.asked.push(mobileNos);
      this.core.send({ type: "watch", mobileNos });
    }
  }

  online() {
    this.ask([...this.watched]);
  }

  /** @param {number} now @param {Frame} frame */
  came(now, { type, mobileNo, online, lastSeen, from, active }) {
    if (type === "typing") return active ? this.typingBegan(now, from) : this.typingEnded(from);
    this.asked = this.asked.filter((numbers) => !numbers.includes(mobileNo));
    if (this.watched.has(mobileNo)) this.show(mobileNo, isTime(lastSeen) ? { online, lastSeen } : { online });
  }

  /** @param {string} mobileNo @param {{online: boolean, lastSeen?: number}} presence */
  show(mobileNo, presence) {
    this.presence.set(mobileNo, presence);
    this.core.emit("presence", { mobileNo, ...presence });
  }

  /** @param {number} now @param {Frame} frame @returns {boolean} Whether it needs no more than this. */
  refused(now, { component, code, mobileNos, retryAfter = 1 }) {
    if (component !== "watch" || !Array.isArray(mobileNos)) return false;
    const named = mobileNos.map(asText).join();
    const numbers = this.asked.find((asked) => asked.slice(0, NAMED_NUMBERS).join() === named);
    if (!numbers) return false;
    this.asked = this.asked.filter((asked) => asked !== numbers);
    if (code !== "rate_limited") {
      for (const number of numbers) this.watched.delete(number);
      return false;
    }
    const wait = retryAfter * 1000 + this.core.random() * 1000;
    this.core.at(`watch ${named}`, now + wait, () => {
      if (this.core.online) this.ask(numbers.filter((number) => this.watched.has(number)));
    });
    return true;
  }

  // ---- typing

  /** C37. @param {number} now @param {string} to @param {boolean} active */
  type(now, to, active) {
    if (!this.core.online) return;
    if (!active) return this.stoppedTyping(to);
    this.core.at(`typing to ${to}`, now + TYPING_STOPS_MS, () => this.stoppedTyping(to));
    if (now - (this.typingTo.get(to) ?? -Infinity) < TYPING_EVERY_MS) return;
    this.typingTo.set(to, now);
    this.core.send({ type: "typing", to, active: true });
  }

  /** @param {string} to */
  stoppedTyping(to) {
    this.core.cancel(`typing to ${to}`);
    if (this.typingTo.delete(to)) this.core.send({ type: "typing", to, active: false });
  }

  /** C38. @param {number} now @param {string} peer */
  typingBegan(now, peer) {
    this.core.at(`typing of ${peer}`, now + TYPING_SHOWN_MS, () => this.typingEnded(peer));
    if (this.typing.has(peer)) return;
    this.typing.add(peer);
    this.core.emit("typing", { peer, active: true });
  }

  /** @param {string} peer */
  typingEnded(peer) {
    this.core.cancel(`typing of ${peer}`);
    if (this.typing.delete(peer)) this.core.emit("typing", { peer, active: false });
  }

  // ---- the connection

  ended() {
    this.asked = [];
    for (const name of [...this.core.timers.keys()]) if (/^(watch|typing to) /.test(name)) this.core.cancel(name);
    this.typingTo.clear();
    for (const peer of [...this.typing]) this.typingEnded(peer);
    for (const [mobileNo, { online }] of this.presence) if (online) this.show(mobileNo, { online: false });
  }
}

/** @param {string[]} numbers */
function inFrames(numbers) {
  const frames = [];
  for (let at = 0; at < numbers.length; at += WATCH_NUMBERS) frames.push(numbers.slice(at, at + WATCH_NUMBERS));
  return frames;
}
