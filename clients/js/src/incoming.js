// The part of the core that receives: what is handed over, kept, acknowledged and told, in this order (C27–C35).

/** @import { Core, Frame } from "./core.js" */
/** @import { Change, Kept, Message, News } from "./types.js" */

/**
 * Who takes chats: a handler, one after the other; the store at once; or nobody, and they stay at the server.
 * @typedef {"handler" | "store" | "nobody"} Taker
 */

/**
 * What came together: it is acknowledged together if that does not take long.
 * @typedef {{left: number}} Batch
 */

/**
 * A chat on its way to the handler. All `streamIds` under which it came are acknowledged with it.
 * @typedef {{message: Message, streamIds: string[], batch: Batch}} Item
 */

const ACK_IDS = 1_000;
const READ_IDS = 100;
const JOIN_MS = 50;
const TOLD_MS = 10_000;

export class Incoming {
  /** @param {Core} core */
  constructor(core) {
    this.core = core;
    /** @type {Taker} */
    this.taker = "nobody";
    /** @type {Item[]} The first may be in the handler's hands. */
    this.lane = [];
    this.inHands = 0; // its token
    /** @type {Map<number, {batch: Batch, streamIds: string[], settled: [Message, {timestamp?: number, error?: {code: string, message: string}}][]}>} */
    this.applying = new Map();
    /** @type {string[]} Kept, and not acknowledged yet. */
    this.acks = [];
    /** @type {News[]} Kept, and not told yet: that comes behind the acknowledgement. */
    this.news = [];
    /** @type {Map<string, Set<string>>} Read here, and the server has not been told. */
    this.reads = new Map();
    /** @type {{peer: string, ids: string[]}[]} Told on this connection, which may not have come through. */
    this.told = [];
  }

  get idle() {
    return !this.inHands && !this.applying.size && !this.acks.length;
  }

  /** @param {Kept["reads"]} reads */
  load(reads) {
    this.reads.clear();
    this.told = [];
    for (const { peer, ids } of reads) this.addReads(peer, ids);
  }

  /** @param {Taker} taker */
  setTaker(taker) {
    this.taker = taker;
    if (taker === "store" && !this.inHands) this.keepAll();
    this.advance();
  }

  // ---- what came

  /** One WebSocket message (C31). @param {number} now @param {Frame[]} frames */
  take(now, frames) {
    /** @type {Batch} */
    const batch = { left: 0 };
    /** @type {Change[]} */
    const changes = [];
    /** @type {string[]} */
    const streamIds = [];
    /** @type {[Message, {timestamp: number}][]} */
    const settled = [];
    for (const frame of frames) {
      const peer = frame.from ?? frame.to;
      const id = frame.messageId;
      const { timestamp, streamId } = frame;
      if (frame.type === "sent") {
        const waited = this.sent(peer, [id], timestamp, settled);
        changes.push(...(waited.length ? waited : [{ kind: /** @type {const} */ ("sent"), peer, id, timestamp }]));
      } else if (frame.type === "ack" && ["expired", "delivered", "read"].includes(frame.ackType)) {
        changes.push(...this.sent(peer, frame.messageIds, timestamp, settled));
        changes.push({ kind: "receipt", peer, ids: frame.messageIds, state: frame.ackType, timestamp });
      } else if (frame.type === "own") {
        const message = { id, peer, mine: true, text: frame.message, timestamp, state: /** @type {const} */ ("sent") };
        changes.push({ kind: "own", message: { ...message, streamId } });
      } else if (frame.type === "ownRead") {
        changes.push({ kind: "ownRead", peer, ids: frame.messageIds });
      }
      if (frame.type !== "chat" && streamId) streamIds.push(streamId);
    }
    const chats = frames.filter(({ type }) => type === "chat").sort(byStreamId);
    for (const chat of chats) this.core.people.typingEnded(chat.from);
    this.queue(chats.map(asMessage), batch);
    if (this.taker === "store" && !this.inHands) this.keepAll(batch, changes, streamIds, settled);
    else if (changes.length || streamIds.length) this.keep(batch, changes, streamIds, settled);
    this.advance();
    if (settled.length) this.core.outgoing.settled(now);
  }

  /**
   * Those of the messages that wait here have their answer.
   * @param {string} peer @param {string[]} ids @param {number} timestamp @param {[Message, {timestamp: number}][]} settled
   * @returns {Change[]}
   */
  sent(peer, ids, timestamp, settled) {
    const messages = ids.map((id) => this.core.outgoing.answered(peer, id)).filter((one) => one !== undefined);
    for (const message of messages) settled.push([message, { timestamp }]);
    return messages.map((message) => ({ kind: "sent", peer: message.peer, id: message.id, timestamp }));
  }

  /** What is on its way already is not handed over twice (C29). @param {Message[]} chats @param {Batch} batch */
  queue(chats, batch) {
    for (const message of chats) {
      const streamId = String(message.streamId);
      const same = this.lane.find((item) => item.streamIds.includes(streamId) || isSame(item.message, message));
      if (same) {
        if (!same.streamIds.includes(streamId)) same.streamIds.push(streamId);
      } else {
        this.lane.push({ message, streamIds: [streamId], batch });
        batch.left += 1;
      }
    }
  }

  // ---- handing over

  /** The next one goes to the handler. */
  advance() {
    const [item] = this.lane;
    if (this.taker !== "handler" || this.inHands || !item || this.core.stopping) return;
    this.inHands = this.core.nextToken();
    this.core.effect({ do: "hand", token: this.inHands, message: item.message });
  }

  /**
   * The handler has returned, or the store knew the chat.
   * @param {number} token
   * @param {{failed?: unknown}} how
   */
  handled(token, how) {
    if (token !== this.inHands) return;
    if ("failed" in how) {
      const reason = "The handler of messages failed.";
      this.lane = [];
      this.inHands = 0;
      this.core.finish({ name: "stopped", code: "handler_failed", reason, cause: how.failed });
      return;
    }
    const item = this.lane[0];
    this.keep(item.batch, [{ kind: "chat", message: item.message }], item.streamIds, [], token);
  }

  /** The handler gives it back: nobody takes it just now. @param {number} token */
  givenBack(token) {
    if (token === this.inHands) this.inHands = 0;
    this.advance();
  }

  // ---- keeping

  /** Everything that waits for a taker, with what came besides. */
  keepAll(batch = { left: 0 }, /** @type {Change[]} */ more = [], /** @type {string[]} */ streamIds = [], settled = /** @type {any[]} */ ([])) {
    const items = this.lane;
    this.lane = [];
    const chats = items.map(({ message }) => /** @type {Change} */ ({ kind: "chat", message }));
    const ids = [...items.flatMap((item) => item.streamIds), ...streamIds];
    for (const item of items) item.batch.left = 0;
    if (ids.length || more.length) this.keep(batch, [...chats, ...more], ids, settled);
  }

  /** @param {Batch} batch @param {Change[]} changes @param {string[]} streamIds @param {any[]} settled @param {number} [token] */
  keep(batch, changes, streamIds, settled, token = this.core.nextToken()) {
    if (token !== this.inHands) batch.left += 1;
    this.applying.set(token, { batch, streamIds, settled });
    this.core.effect({ do: "apply", token, changes });
  }

  /** @param {Message} message @param {{code: string, message: string}} error */
  failed(message, error) {
    this.keep({ left: 0 }, [{ kind: "failed", peer: message.peer, id: message.id, error }], [], [[message, { error }]]);
  }

  /** It is durable. @param {number} now @param {number} token @param {News[]} news */
  applied(now, token, news) {
    const done = this.applying.get(token);
    if (!done) return;
    this.applying.delete(token);
    done.batch.left -= 1;
    this.acks.push(...done.streamIds);
    this.news.push(...news);
    if (token === this.inHands) {
      this.inHands = 0;
      this.lane.shift();
      if (this.taker === "store") this.keepAll();
    }
    for (const [message, answer] of done.settled) this.core.effect({ do: "settle", message, ...answer });
    if (done.batch.left <= 0 || this.core.stopping) this.flush();
    else if (!this.core.timers.has("acks")) this.core.at("acks", now + JOIN_MS, () => this.flush());
    this.advance();
  }

  /** The store failed: nothing of it is known, and what came comes again. @param {number} token */
  notKept(token) {
    this.applying.delete(token);
    if (token !== this.inHands) return;
    this.inHands = 0;
    this.lane.shift();
  }

  /** Acknowledges what is kept (C32), then tells of it. */
  flush() {
    this.core.cancel("acks");
    if (this.core.online) {
      for (const streamIds of parts(this.acks, ACK_IDS)) {
        this.core.send({ type: "ack", ackType: "delivered", streamIds });
      }
      this.acks = [];
    }
    const news = this.news;
    this.news = [];
    for (const one of news) this.tell(one);
  }

  /** @param {News} news */
  tell({ kind, peer, ids, message, state, timestamp }) {
    if (kind === "chat" && message) this.core.emit("message", message);
    else if ((kind === "own" || kind === "failed") && message) this.core.emit(kind, message);
    else if (kind === "ownRead") this.core.emit("ownRead", { peer, ids });
    else if (state && timestamp !== undefined) this.core.emit("tick", { peer, ids, state, timestamp });
  }

  // ---- what was read here

  /** @param {string} peer @param {string[]} ids */
  addReads(peer, ids) {
    const known = this.reads.get(peer) ?? new Set();
    for (const id of ids) known.add(id);
    if (known.size) this.reads.set(peer, known);
  }

  /** C34. @param {number} now @param {string} peer @param {string[]} ids */
  read(now, peer, ids) {
    this.addReads(peer, ids);
    if (this.core.online && !this.core.timers.has("reads")) this.sendReads(now);
  }

  /** @param {number} now */
  sendReads(now) {
    for (const [peer, all] of this.reads) {
      for (const ids of parts([...all], READ_IDS)) {
        this.core.send({ type: "ack", ackType: "read", to: peer, messageIds: ids });
        this.told.push({ peer, ids });
      }
    }
    this.reads.clear();
    // There is no answer to it. When the connection lives on without a refusal, it has come through.
    if (this.told.length) this.core.at("told", now + TOLD_MS, () => this.haveTold());
  }

  /** A retryable refusal of an acknowledgement names only some of the ids: all are sent again. @param {number} now @param {any} frame */
  refused(now, { component, retryable, retryAfter }) {
    if (component !== "ack" || retryable !== true || !this.told.length) return;
    this.takeReadsBack();
    this.core.at("reads", now + (retryAfter || 1) * 1_000, (then) => this.sendReads(then));
  }

  takeReadsBack() {
    for (const { peer, ids } of this.told) this.addReads(peer, ids);
    this.told = [];
    this.core.cancel("told");
  }

  haveTold() {
    const changes = this.told.map(({ peer, ids }) => ({ kind: /** @type {const} */ ("told"), peer, ids }));
    this.told = [];
    this.keep({ left: 0 }, changes, [], []);
  }

  // ---- the connection

  /** What was kept meanwhile is acknowledged first of all. @param {number} now */
  online(now) {
    this.flush();
    this.sendReads(now);
  }

  ended() {
    this.takeReadsBack();
    this.core.cancel("reads");
  }

  /** What is in the handler's hands is kept when it returns, and acknowledged on the next connection, if there is one. */
  stop() {
    this.lane = this.inHands ? this.lane.slice(0, 1) : [];
    this.flush();
  }

  /** C35. They mean nothing any more, or something else. */
  forgetStreamIds() {
    this.acks = [];
    for (const item of this.lane) {
      item.streamIds = [];
      item.message = { ...item.message, streamId: undefined };
    }
    for (const one of this.applying.values()) one.streamIds = [];
  }
}

/** @param {Frame} frame @returns {Message} */
function asMessage({ from, messageId, message, timestamp, streamId }) {
  return { id: messageId, peer: from, mine: false, text: message, timestamp, streamId, state: "new" };
}

/** @param {Message} a @param {Message} b */
const isSame = (a, b) => a.peer === b.peer && a.id === b.id && a.text === b.text;

/** Numbers of up to 20 digits, as digits. @param {Frame} a @param {Frame} b */
function byStreamId(a, b) {
  const [left, right] = [a, b].map(({ streamId }) => streamId.split("-").map((/** @type {string} */ part) => part.padStart(20, "0")).join("-"));
  return left < right ? -1 : Number(left > right);
}

/** @template T @param {T[]} all @param {number} size */
function parts(all, size) {
  const made = [];
  for (let at = 0; at < all.length; at += size) made.push(all.slice(at, at + size));
  return made;
}
