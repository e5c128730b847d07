// The rules of stores, for the one in memory and the one in a file; and what only the file has to stand.

import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { FileStore } from "../../../clients/js/src/file-store.js";
import { MemoryStore } from "../../../clients/js/src/memory-store.js";
import { storeRules } from "./store-rules.js";

const file = () => join(mkdtempSync(join(tmpdir(), "wm-")), "store");
const message = (id) => ({ id, peer: "9", mine: true, text: `text of ${id}`, timestamp: 1, state: "waiting" });
const chat = (n, timestamp = n) => ({
  kind: "chat",
  message: { id: `c${n}`, peer: "9", mine: false, text: "hi", timestamp, streamId: `${n}-0`, state: "new" },
});

for (const [name, rule] of Object.entries(storeRules)) {
  test(`${name} (memory)`, () => rule(new MemoryStore(), assert));
  test(`${name} (file)`, async () => {
    const store = await FileStore.open(file());
    await rule(store, assert);
    await store.close();
  });
  test(`${name} (file, opened anew after each write)`, async () => {
    const path = file();
    let store = await FileStore.open(path);
    const reopening = new Proxy({}, {
      get: (_, method) => async (...given) => {
        const result = await store[method](...given);
        if (method !== "locked") {
          await store.close();
          store = await FileStore.open(path);
        }
        return result;
      },
    });
    await rule(reopening, assert);
    await store.close();
  });
}

test("only the owner may read the file", async () => {
  const path = file();
  const store = await FileStore.open(path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await store.close();
});

test("a last line that was not written to its end is passed over, and what follows is read", async () => {
  const path = file();
  let store = await FileStore.open(path);
  await store.add(message("a"));
  await store.close();
  appendFileSync(path, '{"add":{"id":"b","pe');
  store = await FileStore.open(path);
  await store.add(message("c"));
  await store.close();
  store = await FileStore.open(path);
  assert.deepEqual((await store.load()).waiting.map(({ id }) => id), ["a", "c"]);
  await store.close();
});

test("no text of what was sent or came stays in the file when it was made anew", async () => {
  const path = file();
  let store = await FileStore.open(path);
  await store.add(message("a"));
  await store.apply([{ kind: "sent", peer: "9", id: "a", timestamp: 5 }, chat(1)]);
  await store.close();
  store = await FileStore.open(path);
  assert.doesNotMatch(readFileSync(path, "utf8"), /text of a|"hi"/);
  assert.deepEqual(await store.apply([chat(1)]), []);
  await store.close();
});

test("it is made anew when it has become long, and knows the same", async () => {
  const path = file();
  const store = await FileStore.open(path);
  store.linesUntilNew = 50;
  for (let n = 0; n < 60; n += 1) {
    await store.add(message(`m${n}`));
    await store.apply([{ kind: "sent", peer: "9", id: `m${n}`, timestamp: n }]);
  }
  assert.ok(readFileSync(path, "utf8").split("\n").length < 110);
  await store.add(message("last"));
  await store.close();
  const again = await FileStore.open(path);
  assert.deepEqual((await again.load()).waiting.map(({ id }) => id), ["last"]);
  assert.equal((await again.load()).waiting[0].n, 61);
  await again.close();
});

test("where it cannot be made anew, nothing of the write that wanted it has happened", async () => {
  const path = file();
  const store = await FileStore.open(path);
  await store.apply([chat(1)]);
  store.linesUntilNew = 0;
  mkdirSync(`${path}.new/in the way`, { recursive: true });
  await assert.rejects(store.apply([chat(2)]));
  rmSync(`${path}.new`, { recursive: true });
  assert.equal((await store.apply([chat(2)])).length, 1, "it is news still");
  await store.close();
});

test("another user of the file is refused, until it is closed; a lock of a process that is gone is none", async () => {
  const path = file();
  const store = await FileStore.open(path);
  await assert.rejects(FileStore.open(path), /uses this store/);
  await store.close();
  // Of this process, of one that is gone, and of another one that has the number of one that is gone.
  for (const pid of [String(process.pid), "999999999", `${process.ppid} 1`]) {
    writeFileSync(`${path}.lock`, pid);
    await (await FileStore.open(path)).close();
  }
  writeFileSync(`${path}.lock`, "");
  await assert.rejects(FileStore.open(path), /uses this store/, "somebody writes it just now");
  utimesSync(`${path}.lock`, 1, 1);
  await (await FileStore.open(path)).close();
  writeFileSync(`${path}.lock`, String(process.ppid));
  await assert.rejects(FileStore.open(path), new RegExp(`Another process \\(${process.ppid}\\)`));
});

test("a file that cannot be read gives its lock back", async () => {
  const path = file();
  writeFileSync(path, "no json\n");
  await assert.rejects(FileStore.open(path), { message: `${path}: line 1 cannot be read.` });
  writeFileSync(path, "");
  await (await FileStore.open(path)).close();
});

test("what came is known for 30 days; what waits and what was not told stays", async () => {
  const store = new MemoryStore();
  const day = 86_400_000;
  await store.add(message("a"));
  await store.apply([chat(1, day), chat(2, day)]);
  await store.apply([{ kind: "read", peer: "9", ids: ["c2"] }]);
  for (let n = 10; n < 1_200; n += 1) await store.apply([chat(n, 40 * day)]);
  assert.equal((await store.apply([chat(1, day)])).length, 1, "forgotten");
  assert.deepEqual(await store.apply([chat(10, 40 * day)]), []);
  const { waiting, reads } = await store.load();
  assert.deepEqual([waiting.length, reads], [1, [{ peer: "9", ids: ["c2"] }]]);
});
