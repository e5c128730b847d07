// The store in a file, for Node: one JSON line for each thing that happened, and a new file when there are many.

import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";

import { MemoryStore } from "./memory-store.js";
import { addWaiting, applyChange } from "./store.js";

/** @import { Change, Message, News, Session } from "./types.js" */
/** @import { Row } from "./store.js" */

/**
 * A line: what was called, or (in a file that was made anew) the state of everything.
 * @typedef {{session: Session | null} | {epoch: string} | {add: Message} | {apply: Change[]}
 *   | {row: Row} | {stream: [string, number]} | {receipt: [string, {state: import("./types.js").MessageState, timestamp: number}]}} Line
 */

const LINES_UNTIL_NEW = 10_000;
const LOCKING_MS = 10_000;

/**
 * Keeps what a `MemoryStore` does, durably: each write is on the disk when its promise is fulfilled. Only its owner may
 * read the file (mode 0600), for tokens are in it. One process uses it at a time.
 */
export class FileStore extends MemoryStore {
  /**
   * @param {string} path
   * @returns {Promise<FileStore>}
   * @throws {Error} Another process uses it, or it cannot be read or written.
   */
  static async open(path) {
    const store = new FileStore(path);
    try {
      await store.replay();
      store.renew();
    } catch (error) {
      await store.close();
      throw error;
    }
    return store;
  }

  /** Use `FileStore.open`. @param {string} path */
  constructor(path) {
    super();
    this.path = path;
    this.lock = lock(`${path}.lock`);
    /** @type {number | null} */
    this.file = null;
    this.lines = 0;
    this.linesUntilNew = Infinity;
    this.size = 0; // bytes
  }

  /** Everything happens once more. */
  async replay() {
    for (const line of read(this.path)) {
      if ("session" in line) this.session = line.session;
      else if ("epoch" in line) this.setEpoch(line.epoch);
      else if ("add" in line) await addWaiting(this.rows, line.add);
      else if ("apply" in line) for (const change of line.apply) await applyChange(this.rows, change);
      else if ("row" in line) await this.rows.put(line.row);
      else if ("stream" in line) this.rows.streams.set(...line.stream);
      else this.rows.receipts.set(...line.receipt);
    }
  }

  /** Writes what there is into a new file, and goes on in that one. */
  renew() {
    this.rows.forgetOld();
    /** @type {Line[]} */
    const lines = [
      { session: this.session },
      ...(this.epoch === null ? [] : [{ epoch: this.epoch }]),
      ...this.rows.all().map(({ streamId: _, ...row }) => ({ row })), // those that are not forgotten follow
      ...[...this.rows.streams].map((stream) => ({ stream })),
      ...[...this.rows.receipts].map((receipt) => ({ receipt })),
    ];
    const made = `${this.path}.new`;
    rmSync(made, { force: true }); // of a process that ended just here; its mode may be another
    const file = openSync(made, "ax", 0o600);
    try {
      this.size = write(file, lines);
      renameSync(made, this.path);
    } catch (error) {
      closeSync(file);
      rmSync(made, { force: true }); // where the disk is full it would stand in the way
      throw error;
    }
    syncFolder(dirname(this.path));
    if (this.file !== null) closeSync(this.file);
    this.file = file;
    this.lines = lines.length;
    this.linesUntilNew = 2 * lines.length + LINES_UNTIL_NEW;
  }

  /** On the disk when it returns; if it throws, nothing has happened. @param {Line} line */
  append(line) {
    if (this.file === null) throw new Error("The store is closed.");
    try {
      this.size += write(this.file, [line]);
    } catch (error) {
      ftruncateSync(this.file, this.size); // what follows a torn line could not be read
      throw error;
    }
    this.lines += 1;
  }

  /** @param {Session | null} session */
  saveSession(session) {
    return this.inOrder(async () => {
      this.append({ session });
      this.session = session;
    });
  }

  /** @param {Message} message */
  add(message) {
    return this.inOrder(() => {
      this.append({ add: message });
      return addWaiting(this.rows, message);
    });
  }

  /** @param {Change[]} changes @returns {Promise<News[]>} */
  apply(changes) {
    return this.inOrder(async () => {
      if (this.lines >= this.linesUntilNew) this.renew(); // before: if it fails, nothing has happened
      this.append({ apply: changes });
      return this.applyAll(changes);
    });
  }

  /** @param {string} epoch */
  saveEpoch(epoch) {
    return this.inOrder(async () => {
      this.append({ epoch });
      this.setEpoch(epoch);
    });
  }

  /** Lets go of the file and of its lock. */
  async close() {
    if (this.file !== null) closeSync(this.file);
    this.file = null;
    this.lock();
    this.lock = () => {};
  }
}

/**
 * @param {string} path
 * @returns {Line[]} Without a last line that was not written to its end: its write was never confirmed.
 */
function read(path) {
  let text;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === "ENOENT") return [];
    throw error;
  }
  const lines = text.split("\n");
  lines.pop();
  return lines.map((line, at) => {
    try {
      return JSON.parse(line);
    } catch {
      throw new Error(`${path}: line ${at + 1} cannot be read.`); // what JSON.parse says repeats what it read: tokens, texts
    }
  });
}

/** @param {number} file @param {Line[]} lines @returns {number} Bytes, all of them on the disk. */
function write(file, lines) {
  const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
  fsyncSync(file);
  return bytes.length;
}

/** A name in a folder is durable when the folder is. @param {string} path */
function syncFolder(path) {
  const folder = openSync(path, "r");
  fsyncSync(folder);
  closeSync(folder);
}

/** Those of this process: another one with its number may have left a lock behind. @type {Set<string>} */
const held = new Set();

/** @param {string} path Of a file with the process's number and begin. @returns {() => void} Gives it back. */
function lock(path) {
  for (let tries = 0; ; tries += 1) {
    try {
      const file = openSync(path, "wx", 0o600);
      writeSync(file, `${process.pid} ${beginOf(process.pid)}`);
      closeSync(file);
      held.add(path);
      return () => {
        held.delete(path);
        rmSync(path, { force: true });
      };
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EEXIST" || tries > 2) throw error;
    }
    const owner = ownerOf(path);
    if (owner !== null) throw new Error(`Another process (${owner}) uses this store: ${path}`);
    rmSync(path, { force: true });
  }
}

/** The process that holds this lock, if it lives. @param {string} path */
function ownerOf(path) {
  const [number, begun = ""] = readFileSync(path, "utf8").split(" ");
  const owner = Number(number);
  if (owner === process.pid) return held.has(path) ? owner : null;
  // Made, and not written: by a process that does it just now, or that was killed there.
  if (!owner) return Date.now() - statSync(path).mtimeMs < LOCKING_MS ? owner : null;
  // Numbers are used again, soon after a boot and in containers.
  return isAlive(owner) && (!begun || begun === beginOf(owner)) ? owner : null;
}

/** When a process began, where the system tells that in /proc; else "". @param {number} process_ */
function beginOf(process_) {
  try {
    return readFileSync(`/proc/${process_}/stat`, "utf8").split(") ").at(-1)?.split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

/** @param {number} process_ */
function isAlive(process_) {
  try {
    process.kill(process_, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === "EPERM";
  }
}
