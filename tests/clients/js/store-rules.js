// What every store must do, as functions of a new store: run in Node for two of them, and in a browser for the third.

const own = (id, more = {}) => ({ id, peer: "9", mine: true, text: `text of ${id}`, timestamp: 1, state: "waiting", ...more });
const theirs = (id, more = {}) => ({ id, peer: "9", mine: false, text: `text of ${id}`, timestamp: 1, streamId: `${id}-0`, state: "new", ...more });
const chat = (id, more) => ({ kind: "chat", message: theirs(id, more) });
const sent = (id, timestamp = 50) => ({ kind: "sent", peer: "9", id, timestamp });
const receipt = (ids, state, peer = "9") => ({ kind: "receipt", peer, ids, state, timestamp: 60 });
const failed = (id, code) => ({ kind: "failed", peer: "9", id, error: { code, message: "No." } });
const retried = (id, newId = "new") => ({ kind: "retried", id, newId, timestamp: 99 });
const waits = async (store) => (await store.load()).waiting.map(({ id }) => id);
const SESSION = {
  url: "http://x/", mobileNo: "1", id: "2", name: "Asha", deviceId: "d", token: "t", expiresAt: "e", refreshToken: "r", refreshExpiresAt: "f",
};

/** @type {Record<string, (store: any, assert: any) => Promise<void>>} */
export const storeRules = {
  async "a new store is empty"(store, assert) {
    assert.deepEqual(await store.load(), { session: null, epoch: null, waiting: [], failed: [], reads: [] });
  },

  async "a session is kept and removed"(store, assert) {
    await store.saveSession(SESSION);
    assert.deepEqual((await store.load()).session, SESSION);
    await store.saveSession(null);
    assert.equal((await store.load()).session, null);
  },

  async "only one task at a time is in the lock, also after one that failed"(store, assert) {
    const order = [];
    const task = (name, fails = false) => async () => {
      order.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      order.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    };
    const results = await Promise.allSettled([store.locked(task("a", true)), store.locked(task("b"))]);
    assert.deepEqual(order, ["a begins", "a ends", "b begins", "b ends"]);
    assert.deepEqual(results.map(({ status, value }) => value ?? status), ["rejected", "b"]);
  },

  async "C17: what is added waits, in its order, once"(store, assert) {
    for (const id of ["a", "b", "c"]) await store.add(own(id));
    await store.add(own("b"));
    const { waiting } = await store.load();
    assert.deepEqual(waiting.map(({ id, text, peer, mine, state }) => [id, text, peer, mine, state]), ["a", "b", "c"].map((id) => [id, `text of ${id}`, "9", true, "waiting"]));
  },

  async "C17: what was sent already is given back, and does not wait again"(store, assert) {
    assert.equal((await store.add(own("a"))).state, "waiting");
    await store.apply([sent("a"), receipt(["a"], "delivered")]);
    const kept = await store.add(own("a", { timestamp: 99 }));
    assert.deepEqual([kept.state, kept.text, kept.timestamp, await waits(store)], ["delivered", "text of a", 50, []]);
  },

  async "C24: while one waits, another text with its id does not"(store, assert) {
    await store.add(own("a"));
    assert.equal((await store.add(own("a", { text: "another" }))).text, "text of a");
    assert.deepEqual(await waits(store), ["a"]);
  },

  async "what failed is known until it is added again, retried or discarded"(store, assert) {
    for (const id of ["a", "b"]) await store.add(own(id));
    await store.apply([failed("a", "no_answer"), failed("b", "no_answer")]);
    assert.deepEqual((await store.load()).failed.map(({ id, text, error }) => [id, text, error.code]), [["a", "text of a", "no_answer"], ["b", "text of b", "no_answer"]]);
    const again = await store.add(own("a"));
    await store.apply([{ kind: "discarded", id: "b" }]);
    assert.deepEqual([again.state, again.error, (await store.load()).failed, await waits(store)], ["waiting", undefined, [], ["a"]]);
  },

  async "C20: sent is the end of waiting, and news once"(store, assert) {
    await store.add(own("a"));
    assert.deepEqual(await store.apply([sent("a")]), [{ kind: "sent", peer: "9", ids: ["a"], state: "sent", timestamp: 50 }]);
    assert.deepEqual([await waits(store), await store.apply([sent("a")])], [[], []]);
  },

  async "C23: failed is news, with the message"(store, assert) {
    await store.add(own("a"));
    const [news] = await store.apply([failed("a", "no_such_person")]);
    assert.deepEqual([news.kind, news.message.text, news.message.state, news.message.error.code], ["failed", "text of a", "failed", "no_such_person"]);
    assert.deepEqual([await waits(store), await store.apply([failed("a", "x")])], [[], []]);
  },

  async "C24: a retry goes to the end, with its old id"(store, assert) {
    for (const id of ["a", "b"]) await store.add(own(id));
    await store.apply([failed("a", "no_answer")]);
    const [news] = await store.apply([retried("a")]);
    assert.deepEqual([news.message.id, news.message.state, news.message.error, news.message.timestamp], ["a", "waiting", undefined, 99]);
    assert.deepEqual(await waits(store), ["b", "a"]);
    assert.deepEqual(await store.apply([retried("a")]), []);
  },

  async "C24: after message_id_reused it has a new id, and the old one is left to the first message"(store, assert) {
    await store.add(own("a"));
    await store.apply([sent("a")]);
    await store.add(own("a", { text: "another" }));
    await store.apply([failed("a", "message_id_reused")]);
    await store.apply([retried("a", "b")]);
    const { waiting } = await store.load();
    assert.deepEqual(waiting.map(({ id, text }) => [id, text]), [["b", "another"]]);
    assert.deepEqual((await store.apply([receipt(["a"], "read")]))[0].ids, ["a"]);
  },

  async "of two messages with one id, an answer means the one that waits"(store, assert) {
    await store.add(own("a"));
    await store.apply([sent("a"), receipt(["a"], "read")]);
    await store.add(own("a", { text: "another" }));
    assert.equal((await store.apply([sent("a")])).length, 1);
    assert.deepEqual(await waits(store), []);
  },

  async "what failed is discarded, and nothing else"(store, assert) {
    for (const id of ["a", "b"]) await store.add(own(id));
    await store.apply([failed("a", "x")]);
    assert.equal((await store.apply([{ kind: "discarded", id: "a" }, { kind: "discarded", id: "b" }])).length, 1);
    assert.deepEqual([await store.apply([retried("a")]), await waits(store)], [[], ["b"]]);
  },

  async "a message that failed and was stored all the same is sent"(store, assert) {
    await store.add(own("a"));
    await store.apply([failed("a", "no_answer")]);
    assert.equal((await store.apply([receipt(["a"], "delivered")])).length, 1);
    assert.deepEqual(await store.apply([retried("a")]), []);
  },

  async "C29, C30: a chat is news once, by its streamId and by sender, id and text"(store, assert) {
    const [news] = await store.apply([chat("a")]);
    assert.deepEqual([news.kind, news.peer, news.ids, news.message.text, news.message.state], ["chat", "9", ["a"], "text of a", "new"]);
    assert.deepEqual(await store.apply([chat("a")]), []);
    assert.deepEqual(await store.apply([chat("a", { streamId: "other" })]), []);
    assert.equal((await store.apply([chat("a", { streamId: "x", text: "another text" })])).length, 1);
    assert.equal((await store.apply([chat("a", { streamId: "y", peer: "8" })])).length, 1);
    assert.deepEqual(await store.apply([chat("z", { streamId: "x" })]), []);
  },

  async "C30: unknown gives those that are not known, and keeps nothing"(store, assert) {
    await store.apply([chat("a")]);
    for (let n = 0; n < 2; n += 1) {
      const unknown = await store.unknown([theirs("a"), theirs("b"), theirs("a", { streamId: "q", text: "other" })]);
      assert.deepEqual(unknown.map(({ text }) => text), ["text of b", "other"]);
    }
  },

  async "C31: an array with the same chat twice has one that is news"(store, assert) {
    assert.equal((await store.apply([chat("a"), chat("a"), chat("a", { streamId: "2" })])).length, 1);
  },

  async "C33: ticks only go forward"(store, assert) {
    await store.add(own("a"));
    const states = [];
    for (const state of ["expired", "delivered", "expired", "read", "delivered", "read"]) {
      states.push(...(await store.apply([receipt(["a"], state)])).map((news) => news.state));
      states.push(...(await store.apply([sent("a")])));
    }
    assert.deepEqual(states, ["expired", "delivered", "read"]);
  },

  async "C33: of several only those that are raised are news"(store, assert) {
    for (const id of ["a", "b"]) await store.add(own(id));
    await store.apply([sent("a"), sent("b"), receipt(["a"], "read")]);
    assert.deepEqual((await store.apply([receipt(["a", "b"], "delivered")]))[0].ids, ["b"]);
  },

  async "C33: a receipt before its own is kept for it"(store, assert) {
    assert.deepEqual(await store.apply([receipt(["o", "p"], "delivered"), receipt(["o"], "read"), receipt(["o"], "delivered")]), []);
    const [news] = await store.apply([{ kind: "own", message: own("o", { state: "sent", streamId: "7-0" }) }]);
    assert.deepEqual([news.kind, news.message.state], ["own", "read"]);
    assert.deepEqual(await store.apply([receipt(["o"], "delivered")]), []);
  },

  async "an own that is known is no news; of one that waits it is the answer"(store, assert) {
    const change = { kind: "own", message: own("o", { state: "sent", streamId: "7-0" }) };
    assert.equal((await store.apply([change])).length, 1);
    assert.deepEqual(await store.apply([change]), []);
    await store.add(own("w"));
    assert.deepEqual(await store.apply([{ kind: "own", message: own("w", { state: "sent", streamId: "8-0" }) }]), []);
    assert.deepEqual(await waits(store), []);
  },

  async "C34: what was read here stays until the server was told"(store, assert) {
    await store.apply([chat("a"), chat("b")]);
    assert.deepEqual(await store.apply([{ kind: "read", peer: "9", ids: ["a", "b", "x"] }]), [{ kind: "read", peer: "9", ids: ["a", "b"] }]);
    assert.deepEqual(await store.apply([{ kind: "read", peer: "9", ids: ["a"] }]), []);
    assert.deepEqual(await store.apply([{ kind: "told", peer: "9", ids: ["a"] }]), []);
    assert.deepEqual((await store.load()).reads, [{ peer: "9", ids: ["b"] }]);
    await store.apply([{ kind: "ownRead", peer: "9", ids: ["b"] }]);
    assert.deepEqual((await store.load()).reads, []);
  },

  async "what was read elsewhere is news once, and need not be told"(store, assert) {
    await store.apply([chat("a")]);
    assert.equal((await store.apply([{ kind: "ownRead", peer: "9", ids: ["a"] }])).length, 1);
    assert.deepEqual(await store.apply([{ kind: "ownRead", peer: "9", ids: ["a"] }, { kind: "read", peer: "9", ids: ["a"] }]), []);
    assert.deepEqual((await store.load()).reads, []);
  },

  async "C35: another epoch forgets streamIds, and not the chats"(store, assert) {
    await store.saveEpoch("e1");
    await store.apply([chat("a", { streamId: "1-0" })]);
    await store.saveEpoch("e1");
    assert.deepEqual(await store.apply([chat("other", { streamId: "1-0" })]), []);
    await store.saveEpoch("e2");
    assert.equal((await store.load()).epoch, "e2");
    assert.equal((await store.apply([chat("other", { streamId: "1-0" })])).length, 1);
    assert.deepEqual(await store.apply([chat("a", { streamId: "9-0" })]), []);
  },
};
