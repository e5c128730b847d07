// What runs in the browser for test_indexeddb.py. Each function gets a new IndexedDBStore; what it throws is the failure.

import { IndexedDBStore } from "/clients/js/src/index.js";
import { storeRules } from "./store-rules.js";

/** As much of node:assert as the rules use. */
const assert = {
  equal(actual, expected, why = "") {
    if (actual !== expected) throw new Error(`${why} ${JSON.stringify(actual)} is not ${JSON.stringify(expected)}`);
  },
  deepEqual(actual, expected, why = "") {
    this.equal(sorted(actual), sorted(expected), why);
  },
};

/** As JSON, whatever the order of fields. */
const sorted = (value) =>
  JSON.stringify(value, (_, one) =>
    one && typeof one === "object" && !Array.isArray(one) ? Object.fromEntries(Object.entries(one).sort()) : one,
  );

/** The rules of all stores, each with a store of its own: what failed, by name. */
export async function allRules() {
  const results = {};
  for (const [name, rule] of Object.entries(storeRules)) {
    const store = await IndexedDBStore.open(`wm rule ${Math.random()}`);
    results[name] = await rule(store, assert).then(() => "", (error) => error.message);
    await store.close();
    await IndexedDBStore.wipe(store.name);
  }
  return results;
}

const own = (n, more = {}) => ({ id: `m${n}`, peer: "9", mine: true, text: `mine ${n}`, timestamp: n, state: "waiting", ...more });
const chat = (n, more = {}) => ({
  kind: "chat",
  message: { id: `c${n}`, peer: "9", mine: false, text: `theirs ${n}`, timestamp: n, streamId: `${n}-0`, state: "new", ...more },
});
const texts = (messages) => messages.map(({ text }) => text);

const cases = {
  async list(store) {
    await store.apply([chat(1), chat(2), chat(3, { peer: "8" })]);
    await store.add(own(5));
    const [first, second] = await store.chats();
    assert.deepEqual([first.peer, first.unread, first.last.text, first.last.state, first.at], ["9", 2, "mine 5", "waiting", 5]);
    assert.deepEqual([second.peer, second.unread, second.last.text], ["8", 1, "theirs 3"]);
    await store.apply([{ kind: "read", peer: "9", ids: ["c1"] }, { kind: "sent", peer: "9", id: "m5", timestamp: 2 }]);
    const [, now] = await store.chats();
    assert.deepEqual([now.peer, now.unread, now.last.text, now.at], ["9", 1, "mine 5", 2], "the server's time counts");
  },

  async drafts_and_names(store) {
    await store.setDraft("7", "half");
    await store.setName("7", "Dora");
    await store.apply([chat(1, { peer: "7" })]);
    const [{ draft, name, last }] = await store.chats();
    assert.deepEqual([draft, name, last.text], ["half", "Dora", "theirs 1"]);
  },

  async order(store) {
    await store.apply([chat(30), chat(10), chat(20), chat(21, { timestamp: 20 })]);
    await store.add(own(1)); // this machine's clock is slow
    assert.deepEqual(texts(await store.messages("9")), ["theirs 10", "theirs 20", "theirs 21", "theirs 30", "mine 1"]);
    assert.deepEqual(await store.messages("8"), []);
  },

  async pages(store) {
    await store.apply(Array.from({ length: 10 }, (_, n) => chat(n + 1, { timestamp: 5 })));
    await store.apply([chat(99, { peer: "91" }), chat(98, { peer: "8" })]);
    const last = await store.messages("9", { limit: 3 });
    assert.deepEqual(texts(last), ["theirs 8", "theirs 9", "theirs 10"]);
    const before = await store.messages("9", { before: last[0], limit: 3 });
    assert.deepEqual(texts(before), ["theirs 5", "theirs 6", "theirs 7"]);
    assert.deepEqual(texts(await store.messages("9", { after: before[2], limit: 2 })), ["theirs 8", "theirs 9"]);
    assert.deepEqual(texts(await store.messages("9", { from: before[2], limit: 2 })), ["theirs 7", "theirs 8"]);
  },

  async searched(store) {
    await store.apply([chat(1, { text: "Über den Wolken" }), chat(2, { text: "wolkig" }), chat(3, { text: "sun" }), chat(4, { peer: "8", text: "WOLKE" })]);
    assert.deepEqual(texts(await store.search("wolk")), ["WOLKE", "wolkig", "Über den Wolken"]);
    assert.deepEqual(texts(await store.search("ÜBER")), ["Über den Wolken"]);
    assert.deepEqual(texts(await store.search("wolk", { limit: 1 })), ["WOLKE"]);
    assert.deepEqual(texts(await store.search("wolk", { peer: "9" })), ["wolkig", "Über den Wolken"]);
  },

  async cleared(store) {
    await store.apply([chat(1), chat(2, { peer: "8" })]);
    await store.add(own(3));
    await store.add(own(4));
    await store.apply([{ kind: "sent", peer: "9", id: "m3", timestamp: 3 }]);
    await store.setName("9", "Bela");
    await store.clearChat("9");
    assert.deepEqual(texts(await store.messages("9")), ["mine 4"], "what waits stays");
    assert.deepEqual(texts(await store.search("theirs")), ["theirs 2"]);
    const chat9 = (await store.chats()).find(({ peer }) => peer === "9");
    assert.deepEqual([chat9.unread, chat9.name, chat9.last.text], [0, "Bela", "mine 4"]);
    assert.deepEqual(await store.apply([chat(1), chat(1, { streamId: "x" }), { kind: "receipt", peer: "9", ids: ["m3"], state: "read", timestamp: 9 }]).then((news) => news.map(({ kind }) => kind)), ["receipt"], "what is gone is known");
    assert.deepEqual(texts(await store.messages("9")), ["mine 4"]);
    assert.deepEqual((await store.exportAll()).messages.map(({ text }) => text).sort(), ["mine 4", "theirs 2"]);
  },

  async removed(store) {
    await store.apply([chat(1), chat(2, { peer: "8" })]);
    await store.removeChat("9");
    assert.deepEqual((await store.chats()).map(({ peer }) => peer), ["8"]);
    assert.deepEqual(await store.apply([chat(1)]), []);
  },

  async wiped(store) {
    await store.saveSession({ token: "t" });
    await store.apply([chat(1)]);
    await store.wipe();
    assert.deepEqual(await store.load(), { session: null, epoch: null, waiting: [], failed: [], reads: [] });
    assert.deepEqual([await store.chats(), await store.exportAll()], [[], { chats: [], messages: [] }]);
  },

  async told_of_changes(store) {
    const heard = [];
    store.changed = (peers) => heard.push(peers.sort().join());
    await store.apply([chat(1), chat(2, { peer: "8" })]);
    await store.apply([chat(1)]);
    await store.add(own(3));
    await store.setDraft("7", "x");
    await store.load();
    await store.wipe();
    assert.deepEqual(heard, ["8,9", "9", "7", "7,8,9"]);
  },

  async nothing_of_a_failed_transaction_is_kept(store) {
    const failed = await store.apply([chat(1), chat(2, { text: () => "not storable" })]).then(() => "", ({ name }) => name);
    assert.equal(failed, "DataCloneError");
    assert.deepEqual(await store.chats(), []);
    assert.equal((await store.apply([chat(1)])).length, 1, "it can be used as before");
  },

  async shared_by_two_tabs(store) {
    const other = await IndexedDBStore.open(store.name);
    await Promise.all(Array.from({ length: 40 }, (_, n) => (n % 2 ? store : other).add(own(n))));
    assert.equal((await store.load()).waiting.length, 40);
    await Promise.all([store.apply([chat(1)]), other.apply([chat(1)])]).then((news) => assert.equal(news.flat().length, 1));
    const order = [];
    const task = (name) => async () => {
      order.push(name);
      await new Promise((resolve) => setTimeout(resolve, 20));
      order.push(name);
    };
    await Promise.all([store.locked(task("a")), other.locked(task("b"))]);
    assert.deepEqual(order, ["a", "a", "b", "b"]);
    await other.close();
  },

  async opened_anew_when_the_browser_closed_it(store) {
    await store.apply([chat(1)]);
    (await store.database()).dispatchEvent(new Event("close"));
    assert.equal((await store.chats()).length, 1);
    await store.close();
    assert.equal((await store.chats()).length, 1);
  },

  async used_while_the_browser_closes_it(store) {
    await store.apply([chat(1)]);
    (await store.database()).close(); // no event says so
    assert.equal((await store.chats()).length, 1);
    (await store.database()).close();
    assert.equal((await store.apply([chat(2)])).length, 1);
  },

  async a_listener_of_changes_that_throws(store) {
    const said = [];
    addEventListener("error", (event) => (event.preventDefault(), said.push(event.message)), { once: true });
    store.changed = () => {
      throw new Error("mine");
    };
    assert.equal((await store.apply([chat(1)])).length, 1, "it is kept all the same");
    assert.equal(said.length, 1);
  },

  /** As browsers do when the disk is full: at whatever request. */
  async aborted_by_the_browser(store) {
    const rejections = [];
    addEventListener("unhandledrejection", ({ reason }) => rejections.push(String(reason)));
    await store.add(own(1));
    for (const method of ["get", "put"]) {
      const real = IDBObjectStore.prototype[method];
      IDBObjectStore.prototype[method] = function (...given) {
        IDBObjectStore.prototype[method] = real;
        const request = real.apply(this, given);
        this.transaction.abort();
        return request;
      };
      assert.equal(await store.apply([chat(1)]).then(() => "kept", ({ name }) => name), "AbortError");
    }
    assert.deepEqual([(await store.load()).waiting.length, (await store.exportAll()).messages.length], [1, 1]);
    assert.equal((await store.apply([chat(1)])).length, 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(rejections, []);
  },

  async another_tab_can_wipe_it(store) {
    await store.apply([chat(1)]);
    await IndexedDBStore.wipe(store.name); // waits for nobody: this one lets go
    assert.deepEqual(await store.chats(), []);
  },

  async stays_quick_with_100000_messages(store) {
    for (let part = 0; part < 100; part += 1) {
      await store.write(async (rows) => {
        const puts = Array.from({ length: 1_000 }, (_, n) => chat(part * 1_000 + n, { peer: String(n % 100), text: `message ${part * 1_000 + n}` }));
        await Promise.all(puts.map(({ message }) => rows.put(message)));
      });
    }
    const times = {};
    const timed = async (name, task) => {
      const began = performance.now();
      const result = await task();
      times[name] = Math.round(performance.now() - began);
      return result;
    };
    assert.equal((await timed("chats", () => store.chats())).length, 100);
    assert.equal((await timed("messages", () => store.messages("7", { limit: 50 }))).length, 50);
    assert.equal((await timed("load", () => store.load())).waiting.length, 0);
    assert.equal((await timed("apply", () => store.apply([chat(1e6, { peer: "7" })]))).length, 1);
    assert.equal((await timed("search found early", () => store.search("message 99", { limit: 20 }))).length, 20);
    assert.equal((await timed("search for nothing", () => store.search("not there"))).length, 0);
    return times;
  },
};

/** One of the cases above. @param {IndexedDBStore} store @param {string} name */
export const oneCase = (store, name) => cases[name](store);
