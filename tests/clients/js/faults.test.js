// What a program sees of a store that fails, of a wrong one, and of what its runtime does, against a running product.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Api, Client, MemoryStore, SendFailed, StoreMismatch } from "../../../clients/js/src/index.js";
import { PASSWORD, URL_, failed, online, person, refused, state, watch } from "./product.js";

/** A store of which the next call of this method fails, as when the disk is full. */
class Failing extends MemoryStore {
  next = "";

  /** @param {string} method @param {() => Promise<any>} task */
  async tried(method, task) {
    if (this.next !== method) return task();
    this.next = "";
    throw new DOMException("The disk is full.", "QuotaExceededError");
  }

  load = () => this.tried("load", () => super.load());
  add = (message) => this.tried("add", () => super.add(message));
  apply = (changes) => this.tried("apply", () => super.apply(changes));
  unknown = (chats) => this.tried("unknown", () => super.unknown(chats));
}

/** Two people, the second one with a store that can fail. */
async function two(t) {
  const [a, b] = [await person(), await person("Bela")];
  const store = new Failing();
  const bela = await online(t, b, { store });
  return { a, b, asha: await online(t, a), bela, store };
}

for (const method of ["unknown", "apply"]) {
  for (const how of ["handler", "listener"].slice(method === "unknown" ? 0 : undefined, method === "unknown" ? 1 : undefined)) {
    test(`a store that fails in ${method}, with a ${how}: stopped, nothing acknowledged; connectNow goes on`, async (t) => {
      const { b, asha, bela, store } = await two(t);
      const [came, states, ticks] = [[], watch(bela, "state"), watch(asha, "tick")];
      const done = new Promise((resolve) => {
        const take = ({ text }) => void (came.push(text), text === "second" && resolve());
        if (how === "handler") bela.onMessage = take;
        else bela.on("message", take);
      });
      store.next = method;
      await asha.send(b, "first");
      const { code, cause } = await states.first(state("stopped"));
      assert.deepEqual([code, cause.name], ["store_failed", "QuotaExceededError"]);
      assert.deepEqual(ticks.values.map((tick) => tick.state), ["sent"], "nothing was acknowledged");
      bela.connectNow();
      await asha.send(b, "second");
      await done;
      await ticks.first((tick) => tick.state === "delivered");
      assert.deepEqual([...new Set(came)], ["first", "second"]);
      const began = performance.now();
      await bela.stop();
      assert.ok(performance.now() - began < 5_000, "stop waits for what the store lost");
    });
  }
}

test("a store that fails when the answer came: the message goes out again and is sent", async (t) => {
  const { a, asha, bela, store } = await two(t);
  const came = watch(asha, "message");
  await asha.stop(); // a receipt right behind the answer would say, too, that it was sent
  const ends = watch(bela, "state");
  store.next = "apply";
  await assert.rejects(bela.send(a, "hello"), failed("stopped"));
  await ends.first(state("stopped"));
  assert.equal((await store.load()).waiting.length, 1);
  const ticks = watch(bela, "tick");
  bela.connectNow();
  await ticks.first((tick) => tick.state === "sent");
  assert.equal((await store.load()).waiting.length, 0);
  await asha.start();
  await bela.send(a, "last");
  await came.first(({ text }) => text === "last");
  assert.deepEqual(came.values.map(({ text }) => text), ["hello", "last"]);
});

test("a store that fails in add: send rejects with its error, and nothing is sent", async (t) => {
  const { a, asha, bela, store } = await two(t);
  const came = watch(asha, "message");
  store.next = "add";
  await assert.rejects(bela.send(a, "lost"), { name: "QuotaExceededError" });
  await bela.send(a, "kept");
  await came.first();
  assert.deepEqual(came.values.map(({ text }) => text), ["kept"]);
  assert.equal(bela.state.name, "online");
});

test("a store that fails at the start: start rejects, stopped, and it can be started again", async (t) => {
  const store = new Failing();
  store.next = "load";
  const client = new Client(URL_, { mobileNo: await person(), password: PASSWORD, store });
  t.after(() => client.stop());
  await assert.rejects(client.start(), { name: "QuotaExceededError" });
  assert.deepEqual([client.state.name, client.state.code], ["stopped", "store_failed"]);
  await client.start();
  await client.online();
});

test("a store of another number, server or device is refused, and no token goes to that server", async () => {
  const a = await person();
  const store = new MemoryStore();
  await store.saveSession(await new Api(URL_).logIn({ mobileNo: a, password: PASSWORD, deviceId: "phone" }));
  const asked = [];
  const fetch_ = (url) => (asked.push(url), Promise.reject(new TypeError("no")));
  const elsewhere = new Client("http://127.0.0.1:9/", { store, fetch: fetch_ });
  await assert.rejects(elsewhere.start(), StoreMismatch);
  await assert.rejects(elsewhere.api.me(), StoreMismatch);
  await assert.rejects(new Client(URL_, { store, mobileNo: "919800000001", fetch: fetch_ }).start(), StoreMismatch);
  await assert.rejects(new Client(URL_, { store, deviceId: "laptop", fetch: fetch_ }).start(), StoreMismatch);
  assert.deepEqual(asked, []);
  await store.saveSession({ ...(await store.load()).session, url: URL_.replace(/\/$/, "") }); // as somebody else wrote it
  const same = new Client(URL_, { store, mobileNo: `+${a.slice(0, 2)} ${a.slice(2)}`, deviceId: "phone" });
  await same.start();
  await same.online();
  await same.stop();
});

test("a message with an id that was sent before is not sent again, and while one waits its id is taken", async (t) => {
  const { a, asha, bela } = await two(t);
  const came = watch(asha, "message");
  const first = await bela.send(a, "hello", { id: "m1" });
  const frames = watch(bela, "frame");
  const again = await bela.send(a, "hello", { id: "m1" });
  assert.deepEqual([again.state === "sent" || again.state === "delivered", again.timestamp], [true, first.timestamp]);
  assert.deepEqual(frames.values.filter(({ direction, frame }) => direction === "out" && frame.type === "chat"), []);
  const both = await Promise.allSettled([bela.send(a, "one text", { id: "m2" }), bela.send(a, "another", { id: "m2" })]);
  assert.deepEqual(both.map(({ status, reason }) => reason?.code ?? status), ["fulfilled", "message_id_reused"]);
  await bela.send(a, "end");
  await came.first(({ text }) => text === "end");
  assert.deepEqual(came.values.map(({ text }) => text), ["hello", "one text", "end"]);
});

test("failed() gives what was refused, and a message that failed is sent again under its id", async (t) => {
  const { bela } = await two(t);
  const nobody = `9197${String(Math.floor(Math.random() * 1e8)).padStart(8, "0")}`;
  for (let times = 0; times < 2; times += 1) await assert.rejects(bela.send(nobody, "hi", { id: "m1" }), failed("no_such_person"));
  assert.deepEqual((await bela.failed()).map(({ id, text, error }) => [id, text, error.code]), [["m1", "hi", "no_such_person"]]);
  await bela.discard("m1");
  assert.deepEqual(await bela.failed(), []);
});

test("C4: stop waits for a refresh that is on its way: its tokens are kept", async (t) => {
  const a = await person();
  const store = new MemoryStore();
  const old = await new Api(URL_).logIn({ mobileNo: a, password: PASSWORD });
  await store.saveSession(old);
  let isAsked;
  const asked = new Promise((resolve) => (isAsked = resolve));
  const client = new Client(URL_, {
    store,
    fetch: async (url, how) => {
      if (String(url).endsWith("v1/tickets")) return Response.json({ code: "token_expired", message: "x" }, { status: 401 });
      if (!String(url).endsWith("auth/refresh")) return fetch(url, how);
      isAsked();
      const answer = await fetch(url, how);
      await new Promise((done) => setTimeout(done, 300));
      return answer;
    },
  });
  t.after(() => client.stop());
  await client.start();
  await asked;
  await client.stop();
  assert.notEqual((await store.load()).session.refreshToken, old.refreshToken);
});

test("a socket that may not be opened is tried again after a pause, and the ticket is in no reason", async (t) => {
  const WebSocket = function (address) {
    throw new DOMException(`not allowed: ${address}`, "SecurityError");
  };
  const client = new Client(URL_, { mobileNo: await person(), password: PASSWORD, WebSocket });
  t.after(() => client.stop());
  const states = watch(client, "state");
  await client.start();
  const { reason } = await states.first(state("pausing"));
  assert.doesNotMatch(reason, /ticket/);
});

test("an answer that came while the tab was frozen counts: the connection lives on", async (t) => {
  const [a, b] = [await person(), await person("Bela")];
  let [ahead, numbers] = [0, 0];
  const timers = new Map();
  const now = () => performance.now() + ahead;
  const clock = {
    now,
    wall: () => Date.now(),
    random: () => 0,
    later(run, ms) {
      const id = (numbers += 1);
      const ring = () => timers.delete(id) && run();
      timers.set(id, { due: now() + ms, ring, timer: setTimeout(ring, Math.min(ms, 1e9)) });
      return () => (clearTimeout(timers.get(id)?.timer), timers.delete(id));
    },
  };
  const client = await online(t, a, { clock });
  const states = watch(client, "state");
  const wentOut = watch(client, "frame").first(({ direction, frame }) => direction === "out" && frame.type === "chat");
  const sending = client.send(b, "hello");
  await wentOut;
  const frozen = performance.now() + 2_000; // the answer comes, and nothing reads it
  while (performance.now() < frozen);
  ahead = 3_600_000;
  for (const { due, ring } of [...timers.values()]) if (due <= now()) ring();
  await sending;
  await new Promise((done) => setTimeout(done, 300));
  assert.deepEqual(states.values, []);
});

test("a fetch that wants to be called as a function, as browsers' does", async () => {
  const strict = function (...given) {
    if (this !== undefined) throw new TypeError("Illegal invocation");
    return fetch(...given);
  };
  assert.equal((await new Api(URL_, { fetch: strict }).health()).status, "ok");
});

test("what is no address, no text or no id is refused by its name", async (t) => {
  assert.throws(() => new Client("ws://127.0.0.1:1"), TypeError);
  assert.throws(() => new Client("here"), TypeError);
  const client = new Client(URL_, { mobileNo: await person() });
  await assert.rejects(client.send("919800000001", undefined), { name: "TypeError", message: "A message's text is a string." });
  await assert.rejects(client.send("919800000001", "x", { id: "with space" }), (error) => error instanceof SendFailed && error.code === "bad_message_id");
  await assert.rejects(client.start().then(() => client.online()), refused("token_missing"));
  await client.stop();
});
