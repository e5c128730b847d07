// The store in a browser, with a history. Several tabs may use it at once.

import { mistake } from "./errors.js";
import { digest } from "./messages.js";
import { issuedAt } from "./session.js";
import { addWaiting, applyChange, isKnown, readsOf, serial } from "./store.js";

/** @import { Change, Kept, Message, MessageState, News, Session } from "./types.js" */
/** @import { Row } from "./store.js" */

/**
 * What a list of chats shows of one. `at` is the time of its last message.
 * @typedef {{peer: string, name: string, draft: string, unread: number, at: number, last: Message | null}} Chat
 */

/**
 * A message as it is kept. Fields that only some have make small indexes: `waiting`, `failed`, `untold`, and `unread`
 * (its peer). A message of a chat that was cleared has no `peer`, but `gone`: it is only known. `place` is its time; one
 * that waits stands behind all others, since the server's time for it will be later than any.
 * @typedef {Row & {
 *   key: string, place?: number, stream?: string, gone?: string, unread?: string, waiting?: 1, failed?: 1
 * }} Stored
 */

const VERSION = 1;
const SEARCH_AT_ONCE = 2_000;

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {IDBTransaction} transaction @returns {Promise<void>} When it is durable. */
function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new DOMException("aborted", "AbortError"));
  });
}

/** @param {IDBDatabase} database */
function create(database) {
  database.createObjectStore("values"); // session, epoch, generation, ahead
  database.createObjectStore("chats", { keyPath: "peer" });
  database.createObjectStore("receipts");
  const messages = database.createObjectStore("messages", { keyPath: "n", autoIncrement: true });
  messages.createIndex("key", "key");
  messages.createIndex("stream", "stream");
  messages.createIndex("order", ["peer", "place", "n"]);
  messages.createIndex("unread", "unread");
  for (const few of ["waiting", "failed", "untold"]) messages.createIndex(few, few);
}

export class IndexedDBStore {
  history = true;

  /** Called after each write of this instance, with whose chats it changed. Other tabs are for the program to tell. */
  changed = /** @type {(peers: string[]) => void} */ (() => {});

  /**
   * @param {string} name Of the database: one for each account.
   * @returns {Promise<IndexedDBStore>}
   * @throws {DOMException} The browser keeps nothing for this page. `MemoryStore` works all the same.
   */
  static async open(name) {
    const store = new IndexedDBStore(name);
    await store.database();
    return store;
  }

  /** Deletes a database. It waits until no tab has it open. @param {string} name */
  static async wipe(name) {
    await result(indexedDB.deleteDatabase(name));
  }

  /** @param {string} name */
  constructor(name) {
    this.name = name;
    /** @private @type {Promise<IDBDatabase> | null} */
    this.opened = null;
    /** @private */
    this.inThisTab = serial();
  }

  /** Browsers may close it at any time (storage was cleared, another version): then it is opened anew. @private */
  database() {
    this.opened ??= this.openDatabase().catch((error) => {
      this.opened = null;
      throw error;
    });
    return this.opened;
  }

  /** @private */
  async openDatabase() {
    const request = indexedDB.open(this.name, VERSION);
    request.onupgradeneeded = () => create(request.result);
    const database = await result(request);
    database.onversionchange = () => (database.close(), (this.opened = null));
    database.onclose = () => (this.opened = null);
    return database;
  }

  async close() {
    const opened = await this.opened;
    this.opened = null;
    opened?.close();
  }

  /**
   * @private
   * @template T
   * @param {(transaction: IDBTransaction) => Promise<T>} task
   * @returns {Promise<T>}
   */
  async read(task) {
    return task(await this.begin("readonly"));
  }

  /** @private @param {IDBTransactionMode} mode @returns {Promise<IDBTransaction>} */
  async begin(mode) {
    for (let isAgain = false; ; isAgain = true) {
      const database = await this.database();
      try {
        return database.transaction([...database.objectStoreNames], mode, { durability: "strict" });
      } catch (error) {
        // The browser is closing it (storage was cleared, say), and has not told it yet.
        if (isAgain || /** @type {DOMException} */ (error).name !== "InvalidStateError") throw error;
        this.opened = null;
      }
    }
  }

  /**
   * All or nothing, and durable when it resolves.
   * @private
   * @template T
   * @param {(rows: DatabaseRows, transaction: IDBTransaction) => Promise<T>} task
   * @returns {Promise<T>}
   */
  async write(task) {
    const transaction = await this.begin("readwrite");
    const end = finished(transaction);
    let rows, done;
    try {
      rows = new DatabaseRows(transaction, (await result(transaction.objectStore("values").get("generation"))) ?? 0);
      done = await task(rows, transaction);
      for (const peer of rows.touched) await summarise(transaction, peer);
      await end;
    } catch (error) {
      try {
        transaction.abort();
      } catch {
        // it has aborted by itself
      }
      await end.catch(() => undefined);
      throw transaction.error ?? error; // that the disk is full, say: requests only hear that it was aborted
    }
    if (rows.touched.size) this.tell([...rows.touched]);
    return done;
  }

  /** @private @param {string[]} peers */
  tell(peers) {
    try {
      this.changed(peers);
    } catch (error) {
      mistake(error);
    }
  }

  // ---- what every store does

  /** @returns {Promise<Kept>} */
  load() {
    return this.read(async (transaction) => {
      const values = transaction.objectStore("values");
      const messages = transaction.objectStore("messages");
      const [session, epoch, waiting, failed, untold] = await Promise.all([
        result(values.get("session")),
        result(values.get("epoch")),
        result(messages.index("waiting").getAll()),
        result(messages.index("failed").getAll()),
        result(messages.index("untold").getAll()),
      ]);
      const [mine, refused] = [waiting, failed].map((rows) => rows.map(asMessage));
      return { session: session ?? null, epoch: epoch ?? null, waiting: mine, failed: refused, reads: readsOf(untold) };
    });
  }

  /** @param {Session | null} session */
  saveSession(session) {
    return this.write(async (_, transaction) => {
      const values = transaction.objectStore("values");
      const before = await result(values.get("session"));
      if (!session) values.delete("session");
      else {
        values.put(session, "session");
        if (session.token !== before?.token) values.put(Date.now() - issuedAt(session.token) || 0, "ahead"); // just issued
      }
    });
  }

  /**
   * Among all tabs. On pages that were not loaded by HTTPS browsers have no locks: then among the users of this
   * instance, and tabs that refresh at the same time get the same tokens from the server.
   * @template T @param {() => Promise<T>} task @returns {Promise<T>}
   */
  async locked(task) {
    if (!globalThis.navigator?.locks) return this.inThisTab(task);
    return navigator.locks.request(`${this.name} session`, task);
  }

  /** @param {Message} message */
  add(message) {
    return this.write(async (rows, transaction) => {
      const timestamp = await placeable(transaction, message.peer, message.timestamp);
      return asMessage(/** @type {any} */ (await addWaiting(rows, { ...message, timestamp })));
    });
  }

  /** @param {Change[]} changes @returns {Promise<News[]>} */
  apply(changes) {
    return this.write(async (rows, transaction) => {
      const all = [];
      await noteTime(transaction, changes);
      for (const change of changes) all.push(await applyChange(rows, await placed(rows, transaction, change)));
      return all
        .filter((one) => one !== null)
        .map((one) => (one.message ? { ...one, message: asMessage(/** @type {any} */ (one.message)) } : one));
    });
  }

  /** @param {Message[]} chats */
  unknown(chats) {
    return this.read(async (transaction) => {
      const generation = (await result(transaction.objectStore("values").get("generation"))) ?? 0;
      const rows = new DatabaseRows(transaction, generation);
      const known = await Promise.all(chats.map((one) => isKnown(rows, one)));
      return chats.filter((_, at) => !known[at]);
    });
  }

  /** @param {string} epoch */
  saveEpoch(epoch) {
    return this.write(async (rows, transaction) => {
      const values = transaction.objectStore("values");
      const before = await result(values.get("epoch"));
      // A new generation forgets all `streamId`s: no row has to be written for it.
      if (before !== undefined && before !== epoch) await result(values.put(rows.generation + 1, "generation"));
      await result(values.put(epoch, "epoch"));
    });
  }

  // ---- what a page shows

  /** By recency. @returns {Promise<Chat[]>} */
  chats() {
    return this.read(async (transaction) => {
      /** @type {Chat[]} */
      const chats = await result(transaction.objectStore("chats").getAll());
      return chats.sort((a, b) => b.at - a.at);
    });
  }

  /**
   * Some of a conversation, the oldest first: the latest, those before `before`, those after `after`, or those from
   * `from` on.
   * @param {string} peer
   * @param {{before?: Message, after?: Message, from?: Message, limit?: number}} [which]
   * @returns {Promise<Message[]>}
   */
  messages(peer, { before, after, from, limit = 50 } = {}) {
    const first = from ?? after;
    const lower = first ? placeOf(first) : [peer];
    const upper = before ? placeOf(before) : [peer, []];
    const range = IDBKeyRange.bound(lower, upper, Boolean(after), true);
    return this.read(async (transaction) => {
      const index = transaction.objectStore("messages").index("order");
      // All at once where that is no more than was asked for: a cursor takes a step for each.
      if (!first) return (await collect(index.openCursor(range, "prev"), limit)).reverse();
      return (await result(index.getAll(range, limit))).map(asMessage);
    });
  }

  /**
   * Messages that contain the text, the latest first, whatever the case of letters.
   * @param {string} text
   * @param {{peer?: string, limit?: number}} [how] `peer`: only of this conversation.
   * @returns {Promise<Message[]>}
   */
  search(text, { peer, limit = 50 } = {}) {
    const wanted = plain(text);
    return this.read(async (transaction) => {
      const messages = transaction.objectStore("messages");
      const newest = await result(messages.openKeyCursor(null, "prev"));
      /** @type {Message[]} */
      const found = [];
      // Parts are read at once: a cursor over each message takes ten times as long.
      for (let upper = Number(newest?.key ?? 0); upper > 0 && found.length < limit; upper -= SEARCH_AT_ONCE) {
        const range = IDBKeyRange.bound(upper - SEARCH_AT_ONCE, upper, true, false);
        /** @type {Stored[]} */
        const part = await result(messages.getAll(range));
        found.push(...part.reverse().filter((row) => row.peer && (!peer || row.peer === peer) && plain(row.text ?? "").includes(wanted)).map(asMessage));
      }
      return found.slice(0, limit);
    });
  }

  /** @param {string} peer @param {string} draft */
  setDraft(peer, draft) {
    return this.describe(peer, { draft });
  }

  /** @param {string} peer @param {string} name */
  setName(peer, name) {
    return this.describe(peer, { name });
  }

  /** @private @param {string} peer @param {Partial<Chat>} what */
  describe(peer, what) {
    return this.write(async (rows, transaction) => {
      const chats = transaction.objectStore("chats");
      await result(chats.put({ ...newChat(peer), ...(await result(chats.get(peer))), ...what }));
      rows.touched.add(peer);
    });
  }

  /** Its messages go, but for those that wait. They stay known, so that none of them comes again. @param {string} peer */
  clearChat(peer) {
    return this.write(async (rows, transaction) => {
      const range = IDBKeyRange.bound([peer], [peer, []]);
      await eachOf(transaction.objectStore("messages").index("order").openCursor(range), (cursor) => {
        const { key, n, id, mine, timestamp, state, stream, waiting, text } = cursor.value;
        if (!waiting) cursor.update({ key, n, id, mine, timestamp, state, stream, gone: peer, digest: digest(text) });
      });
      rows.touched.add(peer);
    });
  }

  /** The same; and it leaves the list, unless something waits or failed in it. @param {string} peer */
  async removeChat(peer) {
    await this.clearChat(peer);
    await this.write(async (_, transaction) => {
      if (!(await lastOf(transaction, peer))) await result(transaction.objectStore("chats").delete(peer));
    });
    this.tell([peer]);
  }

  /** @returns {Promise<{chats: Chat[], messages: Message[]}>} All of it, without secrets. */
  exportAll() {
    return this.read(async (transaction) => {
      const [chats, messages] = await Promise.all([
        result(transaction.objectStore("chats").getAll()),
        result(transaction.objectStore("messages").getAll()),
      ]);
      return { chats, messages: messages.filter((row) => row.peer).map(asMessage) };
    });
  }

  /** Everything goes, the session too. */
  async wipe() {
    const peers = await this.write(async (_, transaction) => {
      const chats = await result(transaction.objectStore("chats").getAllKeys());
      for (const name of transaction.objectStoreNames) transaction.objectStore(name).clear();
      return chats.map(String);
    });
    this.tell(peers);
  }
}

class DatabaseRows {
  /** @param {IDBTransaction} transaction @param {number} generation Of `streamId`s: those of older ones are forgotten. */
  constructor(transaction, generation) {
    this.messages = transaction.objectStore("messages");
    this.receipts = transaction.objectStore("receipts");
    this.generation = generation;
    /** @type {Set<string>} Whose chats were changed. */
    this.touched = new Set();
  }

  /** @param {boolean} mine @param {string} peer @param {string} id @returns {Promise<Row[]>} */
  async find(mine, peer, id) {
    /** @type {Stored[]} */
    const rows = await result(this.messages.index("key").getAll(`${mine} ${peer} ${id}`));
    return rows.map((row) => ({ ...row, peer }));
  }

  /** @param {string} id @returns {Promise<Row[]>} */
  async failed(id) {
    const rows = await result(this.messages.index("failed").getAll());
    return rows.filter((row) => row.id === id);
  }

  /** @param {string} streamId */
  async knowsStream(streamId) {
    return (await result(this.messages.index("stream").count(`${this.generation} ${streamId}`))) > 0;
  }

  /** @param {Row & Partial<Stored>} row @returns {Promise<Row>} */
  async put({ waiting: _w, failed: _f, unread: _u, place: _p, untold, ...row }) {
    const { mine, peer, id, state, streamId, gone } = row;
    /** @type {any} */
    const stored = { ...row, key: `${mine} ${peer} ${id}`, place: placeIn(row) };
    if (streamId && !row.stream) stored.stream = `${this.generation} ${streamId}`;
    if (gone) delete stored.peer;
    else if (state === "waiting" || state === "failed") stored[state] = 1;
    else if (state === "new") stored.unread = peer;
    if (untold) stored.untold = 1;
    this.touched.add(peer);
    return { ...row, n: Number(await result(this.messages.put(stored))) };
  }

  /** @param {Row} row */
  async remove(row) {
    this.touched.add(row.peer);
    await result(this.messages.delete(Number(row.n)));
  }

  /** @param {string} peer @param {string} id @returns {Promise<MessageState | undefined>} */
  async early(peer, id) {
    return (await result(this.receipts.get([peer, id])))?.state;
  }

  /** @param {string} peer @param {string} id @param {MessageState | null} state @param {number} timestamp */
  async setEarly(peer, id, state, timestamp) {
    if (state) this.receipts.put({ state, timestamp }, [peer, id]);
    else this.receipts.delete([peer, id]);
  }
}

/** @param {string} peer @returns {Chat} */
const newChat = (peer) => ({ peer, name: "", draft: "", unread: 0, at: 0, last: null });

/** What the list shows of it, after its messages have changed. @param {IDBTransaction} transaction @param {string} peer */
async function summarise(transaction, peer) {
  const chats = transaction.objectStore("chats");
  const [chat, last, unread] = await Promise.all([
    result(chats.get(peer)),
    lastOf(transaction, peer),
    result(transaction.objectStore("messages").index("unread").count(peer)),
  ]);
  const known = chat ?? newChat(peer);
  await result(chats.put({ ...known, last, unread, at: last?.timestamp ?? known.at }));
}

/** @param {IDBTransaction} transaction @param {string} peer @returns {Promise<Message | null>} */
async function lastOf(transaction, peer) {
  const index = transaction.objectStore("messages").index("order");
  return (await collect(index.openCursor(IDBKeyRange.bound([peer], [peer, []]), "prev"), 1))[0] ?? null;
}

/**
 * The time for a message that is written now: behind what is there, also where the clock of this machine is slow. Where
 * it is fast, the message would stand behind all that comes, if it is refused and keeps this time.
 * @param {IDBTransaction} transaction @param {string} peer @param {number} timestamp Of this machine's clock.
 */
async function placeable(transaction, peer, timestamp) {
  const [ahead, last] = await Promise.all([
    result(transaction.objectStore("values").get("ahead")),
    lastOf(transaction, peer),
  ]);
  return Math.max(timestamp - Math.max(0, ahead ?? 0), last?.timestamp ?? 0);
}

/** @param {DatabaseRows} rows @param {IDBTransaction} transaction @param {Change} change @returns {Promise<Change>} */
async function placed(rows, transaction, change) {
  if (change.kind !== "retried") return change;
  const [row] = await rows.failed(change.id);
  return row ? { ...change, timestamp: await placeable(transaction, row.peer, change.timestamp) } : change;
}

/**
 * The clock of this machine is ahead of the server's by no more than what a time of the server's shows: somebody may
 * have set it right since the session was issued.
 * @param {IDBTransaction} transaction @param {Change[]} changes
 */
async function noteTime(transaction, changes) {
  const values = transaction.objectStore("values");
  const ahead = (await result(values.get("ahead"))) ?? 0;
  const times = changes.map((change) =>
    "message" in change ? change.message.timestamp : change.kind !== "retried" && "timestamp" in change ? change.timestamp : 0,
  );
  const most = Date.now() - Math.max(0, ...times);
  if (most < ahead) values.put(most, "ahead");
}

/** @param {IDBRequest<IDBCursorWithValue | null>} request @param {number} limit @returns {Promise<Message[]>} */
async function collect(request, limit) {
  /** @type {Message[]} */
  const found = [];
  await eachOf(request, (cursor) => found.push(asMessage(cursor.value)) < limit);
  return found;
}

/**
 * @param {IDBRequest<IDBCursorWithValue | null>} request
 * @param {(cursor: IDBCursorWithValue) => unknown} each False ends it.
 * @returns {Promise<void>}
 */
function eachOf(request, each) {
  return new Promise((resolve, reject) => {
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor || each(cursor) === false) resolve();
      else cursor.continue();
    };
  });
}

/** Without what only the store needs. @param {Stored} row @returns {Message} */
function asMessage({ id, peer, mine, text = "", timestamp, state, streamId, error, n }) {
  return { id, peer, mine, text, timestamp, state, n, ...(streamId && { streamId }), ...(error && { error }) };
}

/** @param {{state: MessageState, timestamp: number}} message */
const placeIn = ({ state, timestamp }) => (state === "waiting" ? Number.MAX_SAFE_INTEGER : timestamp);

/** @param {Message} message */
const placeOf = ({ peer, n = 0, ...message }) => [peer, placeIn(message), n];

/** @param {string} text */
const plain = (text) => text.normalize("NFC").toLowerCase();
