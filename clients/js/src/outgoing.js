// The part of the core that sends: the order, the tries and the refusals (C19–C26).

import { asText } from "./errors.js";

/** @import { Core, Frame } from "./core.js" */
/** @import { Message } from "./types.js" */

/**
 * A message without its final answer.
 * @typedef {object} Item
 * @property {Message} message
 * @property {number} order
 * @property {number} ends Connections that ended with it unanswered, and perhaps because of it.
 * @property {boolean} alone Whether nothing else may be on the way with it.
 */

const AT_ONCE = 32;
const ANSWER_MS = 10_000;
const LATE_ANSWERS_MS = 2_000;
const LONGEST_HOLD_MS = 60_000;
const ENDS_UNTIL_ALONE = 2;
const ENDS_UNTIL_FAILED = 5;

export class Outgoing {
  /** @param {Core} core */
  constructor(core) {
    this.core = core;
    this.orders = 0;
    /** @type {Map<string, Map<string, Item>>} By recipient and `messageId`, oldest first. */
    this.queues = new Map();
    /** @type {Map<string, {item: Item, since: number}>} What is on the way, by recipient. */
    this.flights = new Map();
    /** @type {Map<string, {until: number, times: number}>} Recipients that wait after a refusal. */
    this.holds = new Map();
    this.pausedUntil = 0;
    this.doubting = false; // something on the way was refused, and it is not known what
  }

  /** @param {Message[]} waiting */
  load(waiting) {
    this.queues.clear();
    this.flights.clear();
    this.holds.clear();
    this.pausedUntil = 0;
    for (const message of waiting) this.queue(message);
  }

  /** What waits, and is not known yet. @param {Message} message */
  queue(message) {
    const queue = this.queues.get(message.peer) ?? new Map();
    if (queue.has(message.id)) return;
    queue.set(message.id, { message, order: (this.orders += 1), ends: 0, alone: false });
    this.queues.set(message.peer, queue);
  }

  /** @param {number} now @param {Message[]} messages */
  add(now, messages) {
    for (const message of messages) this.queue(message);
    this.pump(now);
  }

  /** Sends what may be sent, the oldest first. @param {number} now */
  pump(now) {
    this.wakeLater(now);
    if (!this.core.online || this.doubting || now < this.pausedUntil) return;
    if (this.core.stopping && !this.core.incoming.inHands) return; // a handler may wait for its answer

    if ([...this.flights.values()].some(({ item }) => item.alone)) return;
    const heads = [...this.queues.values()].map((queue) => /** @type {Item} */ (queue.values().next().value));
    for (const item of heads.sort((a, b) => a.order - b.order)) {
      const { peer, id, text } = item.message;
      if (this.flights.has(peer) || (this.holds.get(peer)?.until ?? 0) > now) continue;
      if (this.flights.size >= AT_ONCE || (item.alone && this.flights.size)) return;
      this.flights.set(peer, { item, since: now });
      this.core.people.stoppedTyping(peer); // C37
      this.core.send({ type: "chat", to: peer, messageId: id, message: text });
      this.core.at("answer", Math.min(now, ...this.since()) + ANSWER_MS, (then) => this.overdue(then));
      if (item.alone) return;
    }
  }

  since() {
    return [...this.flights.values()].map(({ since }) => since);
  }

  /** When holds and pauses are over. @param {number} now */
  wakeLater(now) {
    const times = [this.pausedUntil, ...[...this.holds.values()].map(({ until }) => until)].filter((at) => at > now);
    if (times.length && this.core.online) this.core.at("held", Math.min(...times), (then) => this.pump(then));
    else this.core.cancel("held");
  }

  /** No answer in time (C26). @param {number} now */
  overdue(now) {
    const oldest = Math.min(...this.since());
    if (oldest + ANSWER_MS > now) this.core.at("answer", oldest + ANSWER_MS, (then) => this.overdue(then));
    else this.core.lose(now, "The server did not answer a message.", true);
  }

  /** @param {boolean} blame */
  ended(blame) {
    const items = [...this.flights.values()].map(({ item }) => item);
    this.land();
    for (const item of blame ? items : []) {
      item.ends += 1;
      item.alone ||= item.ends >= ENDS_UNTIL_ALONE;
      if (item.ends >= ENDS_UNTIL_FAILED) this.fail(item, "no_answer", "The server gave no answer to it.");
    }
  }

  /** Nothing is on the way any more. */
  land() {
    this.flights.clear();
    this.doubting = false;
    for (const name of ["answer", "doubt", "held"]) this.core.cancel(name);
  }

  /** What has no answer is sent again (C21). @param {number} now */
  again(now) {
    this.land();
    this.pump(now);
  }

  /**
   * What of ours an answer means. A recipient's number may have been written in another way than the server writes it.
   * @param {unknown} peer @param {string} id
   */
  find(peer, id) {
    const flights = [...this.flights.values()].map(({ item }) => item);
    return this.queues.get(asText(peer))?.get(id) ?? flights.find(({ message }) => isMeant(message, peer, id));
  }

  /** The server has stored it (C20). @param {string} peer @param {string} id @returns {Message | undefined} */
  answered(peer, id) {
    const item = this.find(peer, id);
    if (!item) return undefined;
    this.remove(item);
    this.holds.delete(item.message.peer);
    return item.message;
  }

  /** @param {Item} item */
  remove(item) {
    const { peer, id } = item.message;
    const queue = this.queues.get(peer);
    queue?.delete(id);
    if (!queue?.size) this.queues.delete(peer);
    if (this.flights.get(peer)?.item === item) this.flights.delete(peer);
    if (!this.flights.size) this.core.cancel("answer");
  }

  /** @param {Item} item @param {string} code @param {string} why */
  fail(item, code, why) {
    this.remove(item);
    this.holds.delete(item.message.peer);
    this.core.incoming.failed(item.message, { code, message: why });
  }

  /** @param {number} now @param {Frame} frame @returns {boolean} Whether it was about a chat of ours. */
  refused(now, frame) {
    const { code, message, retryable, retryAfter = 1 } = frame;
    const names = ["messageIds", "streamIds", "mobileNos"].some((name) => frame[name] !== undefined);
    if (frame.messageId !== undefined) {
      const item = this.find(frame.to, asText(frame.messageId));
      if (!item) return frame.component === "chat"; // it has its answer
      if (retryable) this.hold(now, item, retryAfter);
      else this.fail(item, code, asText(message));
    } else if (names || !["chat", "frame"].includes(frame.component) || !this.flights.size) {
      return false;
    } else if (retryable) {
      this.pausedUntil = now + retryAfter * 1000 + this.core.random() * 250;
      this.land();
    } else {
      this.refusedOneOf(now, code, asText(message));
    }
    this.pump(now);
    this.core.checkStopped();
    return true;
  }

  /** Its recipient waits, longer each time (C22). @param {number} now @param {Item} item @param {number} seconds */
  hold(now, item, seconds) {
    const { peer } = item.message;
    const times = this.holds.get(peer)?.times ?? 0;
    const least = seconds * 1000;
    const base = Math.max(least, Math.min(LONGEST_HOLD_MS, least * 2 ** times));
    this.holds.set(peer, { until: now + base * (1 + this.core.random() / 4), times: times + 1 });
    this.flights.delete(peer);
    if (!this.flights.size) this.core.cancel("answer");
  }

  /** Nobody knows which (C25). @param {number} now @param {string} code @param {string} why */
  refusedOneOf(now, code, why) {
    if (this.doubting) return;
    const items = [...this.flights.values()].map(({ item }) => item);
    if (items.length === 1 && items[0].alone) return this.fail(items[0], code, why);
    for (const item of items) item.alone = true;
    this.doubting = true; // answers to the others may be on their way, and another refusal like this one, too
    this.core.at("doubt", now + LATE_ANSWERS_MS, (then) => this.again(then));
  }

  /** What was on the way while in doubt has its answers. @param {number} now */
  settled(now) {
    if (this.doubting && !this.flights.size) this.again(now);
    else this.pump(now);
  }
}

/**
 * A number that was written as at home ends as the server writes it. Another recipient's message may have the same id.
 * @param {Message} message @param {unknown} peer @param {string} id
 */
const isMeant = (message, peer, id) =>
  message.id === id && (peer === undefined || asText(peer).endsWith(message.peer.replace(/^0+/, "")));
