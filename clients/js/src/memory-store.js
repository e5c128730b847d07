// The store in memory.

import { digest } from "./messages.js";
import { addWaiting, applyChange, isKnown, readsOf, serial } from "./store.js";

/** @import { Change, Kept, Message, MessageState, News, Session } from "./types.js" */
/** @import { Row } from "./store.js" */

const DAYS_30 = 30 * 86_400_000;

/**
 * Keeps nothing longer than the program runs, and no texts but of what waits and what failed. What came is known for
 * 30 days, by digests.
 */
export class MemoryStore {
  history = false;
  /** @type {Session | null} Not for everybody who logs the store. */
  #session = null;

  constructor() {
    /** @type {string | null} */
    this.epoch = null;
    this.rows = new MemoryRows();
    this.locked = serial();
    this.inOrder = serial();
  }

  get session() {
    return this.#session;
  }

  set session(session) {
    this.#session = session;
  }

  /** @returns {Promise<Kept>} */
  load() {
    return this.inOrder(async () => {
      const rows = this.rows.all();
      /** @param {MessageState} state */
      const mine = (state) => /** @type {Message[]} */ (rows.filter((row) => row.mine && row.state === state));
      const reads = readsOf(rows.filter((row) => row.untold));
      return { session: this.session, epoch: this.epoch, waiting: mine("waiting"), failed: mine("failed"), reads };
    });
  }

  /** @param {Session | null} session @returns {Promise<void>} */
  saveSession(session) {
    return this.inOrder(async () => void (this.session = session));
  }

  /** @param {Message} message @returns {Promise<Message>} */
  add(message) {
    return this.inOrder(() => addWaiting(this.rows, message));
  }

  /** @param {Change[]} changes @returns {Promise<News[]>} */
  apply(changes) {
    return this.inOrder(() => this.applyAll(changes));
  }

  /** @param {Change[]} changes @returns {Promise<News[]>} */
  async applyAll(changes) {
    const all = [];
    for (const change of changes) all.push(await applyChange(this.rows, change));
    this.rows.forgetOld();
    return all.filter((one) => one !== null);
  }

  /** @param {Message[]} chats */
  unknown(chats) {
    return this.inOrder(async () => {
      const known = await Promise.all(chats.map((one) => isKnown(this.rows, one)));
      return chats.filter((_, at) => !known[at]);
    });
  }

  /** @param {string} epoch */
  saveEpoch(epoch) {
    return this.inOrder(async () => this.setEpoch(epoch));
  }

  /** @param {string} epoch */
  setEpoch(epoch) {
    if (this.epoch !== null && this.epoch !== epoch) this.rows.streams.clear();
    this.epoch = epoch;
  }

  async close() {}
}

export class MemoryRows {
  constructor() {
    /** @type {Map<string, Row[]>} Of one key in the order of `n`. */
    this.byKey = new Map();
    /** @type {Map<string, number>} `streamId`s, with their times. */
    this.streams = new Map();
    /** @type {Map<string, {state: MessageState, timestamp: number}>} */
    this.receipts = new Map();
    this.n = 0;
    this.newest = 0; // the server's latest time: the clock of this machine may be wrong
    this.sizeAfterForgetting = 1_000;
  }

  /** In the order in which they were added. */
  all() {
    return [...this.byKey.values()].flat().sort((a, b) => Number(a.n) - Number(b.n));
  }

  /** @param {boolean} mine @param {string} peer @param {string} id */
  async find(mine, peer, id) {
    return this.byKey.get(`${mine} ${peer} ${id}`)?.slice() ?? [];
  }

  /** @param {string} id */
  async failed(id) {
    return this.all().filter((row) => row.mine && row.id === id && row.state === "failed");
  }

  /** @param {string} streamId */
  async knowsStream(streamId) {
    return this.streams.has(streamId);
  }

  /** @param {Row} row */
  async put(row) {
    const kept = { ...row, n: row.n ?? this.n + 1 };
    this.n = Math.max(this.n, kept.n);
    if (row.state !== "waiting" && row.state !== "failed" && row.text !== undefined) {
      kept.digest = digest(row.text);
      delete kept.text;
    }
    const key = `${row.mine} ${row.peer} ${row.id}`;
    const others = (this.byKey.get(key) ?? []).filter((other) => other.n !== kept.n);
    this.byKey.set(key, [...others, kept].sort((a, b) => Number(a.n) - Number(b.n)));
    if (row.streamId) this.streams.set(row.streamId, row.timestamp);
    if (row.state !== "waiting") this.newest = Math.max(this.newest, row.timestamp);
    return { ...row, n: kept.n };
  }

  /** @param {Row} row */
  async remove(row) {
    const key = `${row.mine} ${row.peer} ${row.id}`;
    const others = (this.byKey.get(key) ?? []).filter((other) => other.n !== row.n);
    if (others.length) this.byKey.set(key, others);
    else this.byKey.delete(key);
  }

  /** @param {string} peer @param {string} id */
  async early(peer, id) {
    return this.receipts.get(`${peer} ${id}`)?.state;
  }

  /** @param {string} peer @param {string} id @param {MessageState | null} state @param {number} timestamp */
  async setEarly(peer, id, state, timestamp) {
    if (state) this.receipts.set(`${peer} ${id}`, { state, timestamp });
    else this.receipts.delete(`${peer} ${id}`);
  }

  /** What is older than 30 days, but for what waits; looked for when there is twice as much as the last time. */
  forgetOld() {
    if (this.byKey.size + this.streams.size + this.receipts.size < 2 * this.sizeAfterForgetting) return;
    const since = this.newest - DAYS_30;
    for (const [key, rows] of this.byKey) {
      const kept = rows.filter((row) => row.state === "waiting" || row.untold || row.timestamp >= since);
      if (kept.length) this.byKey.set(key, kept);
      else this.byKey.delete(key);
    }
    for (const [id, timestamp] of this.streams) if (timestamp < since) this.streams.delete(id);
    for (const [key, { timestamp }] of this.receipts) if (timestamp < since) this.receipts.delete(key);
    this.sizeAfterForgetting = Math.max(1_000, this.byKey.size + this.streams.size + this.receipts.size);
  }
}
