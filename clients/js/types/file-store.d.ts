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
    static open(path: string): Promise<FileStore>;
    /** Use `FileStore.open`. @param {string} path */
    constructor(path: string);
    path: string;
    lock: () => void;
    /** @type {number | null} */
    file: number | null;
    lines: number;
    linesUntilNew: number;
    size: number;
    /** Everything happens once more. */
    replay(): Promise<void>;
    /** Writes what there is into a new file, and goes on in that one. */
    renew(): void;
    /** On the disk when it returns; if it throws, nothing has happened. @param {Line} line */
    append(line: Line): void;
}
/**
 * A line: what was called, or (in a file that was made anew) the state of everything.
 */
export type Line = {
    session: Session | null;
} | {
    epoch: string;
} | {
    add: Message;
} | {
    apply: Change[];
} | {
    row: Row;
} | {
    stream: [string, number];
} | {
    receipt: [string, {
        state: import("./types.js").MessageState;
        timestamp: number;
    }];
};
import { MemoryStore } from "./memory-store.js";
import type { Session } from "./types.js";
import type { Message } from "./types.js";
import type { Change } from "./types.js";
import type { Row } from "./store.js";
