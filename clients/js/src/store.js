// What a change makes of what is kept: the same for every store of this package.

import { digest } from "./messages.js";

/** @import { Change, Kept, Message, MessageState, News } from "./types.js" */

/**
 * A message as it is kept. `text` may be gone: then `digest` tells whether another text is the same.
 * @typedef {Omit<Message, "text"> & {text?: string, digest?: string, untold?: boolean}} Row
 */

/**
 * How the rules see what is kept. A `put` of a row without `n` gives it the next one.
 * @typedef {object} Rows
 * @property {(mine: boolean, peer: string, id: string) => Promise<Row[]>} find
 * @property {(id: string) => Promise<Row[]>} failed
 * @property {(streamId: string) => Promise<boolean>} knowsStream
 * @property {(row: Row) => Promise<Row>} put
 * @property {(row: Row) => Promise<void>} remove
 * @property {(peer: string, id: string) => Promise<MessageState | undefined>} early The state that a receipt told of
 *   before its message was known.
 * @property {(peer: string, id: string, state: MessageState | null, timestamp: number) => Promise<void>} setEarly
 */

/** @type {Record<MessageState, number>} */
const RANK = { waiting: 0, failed: 0, sent: 1, expired: 2, delivered: 3, read: 4, new: 0 };

/** @param {Row} row @param {Message} message */
const sameText = (row, message) =>
  row.text === undefined ? row.digest === digest(message.text) : row.text === message.text;

/** Whether a chat of somebody else's is known (C30). @param {Rows} rows @param {Message} chat */
export async function isKnown(rows, chat) {
  if (chat.streamId && (await rows.knowsStream(chat.streamId))) return true;
  return (await rows.find(false, chat.peer, chat.id)).some((row) => sameText(row, chat));
}

/**
 * Keeps a message that waits: the same one again once, and once more if it failed.
 * @param {Rows} rows
 * @param {Message} message
 * @returns {Promise<Message>} As it is kept. It may have been sent already; another one that waits with its id has
 *   another text.
 */
export async function addWaiting(rows, message) {
  const found = await rows.find(true, message.peer, message.id);
  const same = found.find((row) => sameText(row, message));
  if (same && same.state !== "failed") return /** @type {Message} */ ({ ...same, text: message.text });
  const other = found.find(({ state }) => state === "waiting");
  if (other) return /** @type {Message} */ (other);
  if (same) await rows.remove(same);
  return /** @type {Message} */ (await rows.put({ ...message }));
}

/** Of several messages with one id, an answer means the one that waits. @param {Row[]} found */
const answered = (found) => found.find((row) => row.state === "waiting") ?? found.at(-1);

/**
 * @param {Rows} rows
 * @param {Change} change
 * @returns {Promise<News | null>} Null if it was no news.
 */
export async function applyChange(rows, change) {
  switch (change.kind) {
    case "chat":
      return chat(rows, change.message);
    case "own":
      return own(rows, change.message);
    case "sent":
      return raise(rows, { ...change, ids: [change.id], state: "sent" });
    case "receipt":
      return raise(rows, change);
    case "failed": {
      const row = (await rows.find(true, change.peer, change.id)).find(({ state }) => state === "waiting");
      return row ? news("failed", await rows.put({ ...row, state: "failed", error: change.error })) : null;
    }
    case "retried":
      return retried(rows, change);
    case "discarded": {
      const [row] = await rows.failed(change.id);
      if (row) await rows.remove(row);
      return row ? news("discarded", row) : null;
    }
    default:
      return read(rows, change);
  }
}

/** @param {Change["kind"]} kind @param {Row} row @returns {News} */
const news = (kind, row) => ({ kind, peer: row.peer, ids: [row.id], message: /** @type {Message} */ (row) });

/** @param {Rows} rows @param {Message} message */
async function chat(rows, message) {
  return (await isKnown(rows, message)) ? null : news("chat", await rows.put({ ...message }));
}

/** @param {Rows} rows @param {Message} message */
async function own(rows, message) {
  const { peer, id, timestamp } = message;
  if ((await rows.find(true, peer, id)).length) {
    await raise(rows, { kind: "sent", peer, ids: [id], state: "sent", timestamp }); // it waited here, and is stored
    return null;
  }
  const early = await rows.early(peer, id);
  if (early) await rows.setEarly(peer, id, null, timestamp);
  return news("own", await rows.put({ ...message, state: early ?? "sent" }));
}

/**
 * Ticks only go forward (C33).
 * @param {Rows} rows
 * @param {{kind: "sent" | "receipt", peer: string, ids: string[], state: MessageState, timestamp: number}} change
 * @returns {Promise<News | null>}
 */
async function raise(rows, { kind, peer, ids, state, timestamp }) {
  const raised = [];
  for (const id of ids) {
    const row = answered(await rows.find(true, peer, id));
    const before = row ? row.state : ((await rows.early(peer, id)) ?? "waiting");
    if (RANK[state] <= RANK[before]) continue;
    if (!row) {
      if (kind === "receipt") await rows.setEarly(peer, id, state, timestamp);
      continue;
    }
    const { error: _, ...rest } = row;
    await rows.put({ ...rest, state, timestamp: kind === "sent" ? timestamp : row.timestamp });
    raised.push(id);
  }
  return raised.length ? { kind, peer, ids: raised, state, timestamp } : null;
}

/** It waits again, behind everything that waits already. @param {Rows} rows @param {Change & {kind: "retried"}} change */
async function retried(rows, { id, newId, timestamp }) {
  const [row] = await rows.failed(id);
  if (!row) return null;
  await rows.remove(row);
  const { error, n: _, ...rest } = row;
  const used = error?.code === "message_id_reused" ? newId : id; // C24
  return news("retried", await rows.put({ ...rest, id: used, timestamp, state: "waiting" }));
}

/**
 * @param {Rows} rows
 * @param {Change & {kind: "read" | "told" | "ownRead"}} change
 * @returns {Promise<News | null>}
 */
async function read(rows, { kind, peer, ids }) {
  const changed = [];
  for (const id of ids) {
    for (const { untold, ...row } of await rows.find(false, peer, id)) {
      if (kind !== "read" && untold) await rows.put({ ...row });
      if (kind === "told" || row.state === "read") continue;
      await rows.put(kind === "read" ? { ...row, state: "read", untold: true } : { ...row, state: "read" });
      changed.push(id);
    }
  }
  return changed.length ? { kind, peer, ids: changed } : null;
}

/** @param {Row[]} untold @returns {Kept["reads"]} */
export function readsOf(untold) {
  /** @type {Map<string, string[]>} */
  const byPeer = new Map();
  for (const { peer, id } of untold) byPeer.set(peer, [...(byPeer.get(peer) ?? []), id]);
  return [...byPeer].map(([peer, ids]) => ({ peer, ids }));
}

/** Runs tasks one after the other, each also if the one before failed. @returns {<T>(task: () => Promise<T>) => Promise<T>} */
export function serial() {
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();
  return (task) => {
    const result = last.then(task, task);
    last = result.catch(() => undefined); // its own caller hears of it
    return result;
  };
}
