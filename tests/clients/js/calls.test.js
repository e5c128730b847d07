// Calls at any moment, against a running product: in a handler, before start(), after stop(), twice, at the same time.
// Each works, or rejects with an error that says why. Nothing hangs.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { inspect } from "node:util";
import { test } from "node:test";

import { Client, ClientError, MemoryStore } from "../../../clients/js/src/index.js";
import { PASSWORD, URL_, failed, online, person, refused, state, watch } from "./product.js";

const SOON = 4_000; // less than the 10 s that a stop waits at most

/** What it gives, or a failure when it takes as long as a call that hangs. */
async function soon(promise, what = "it") {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`${what} hangs`)), SOON)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Two people; the second one has a store of their own, and is not started. */
async function two(t) {
  const [a, b] = [await person(), await person("Bela")];
  const store = new MemoryStore();
  const make = () => new Client(URL_, { mobileNo: b, password: PASSWORD, store });
  const bela = make();
  t.after(() => bela.stop({ seconds: 0 }));
  return { a, b, asha: await online(t, a), bela, make };
}

for (const [how, pause] of [["at once", () => {}], ["after an await", () => new Promise((done) => setTimeout(done, 20))]]) {
  test(`C39: a handler that calls stop ${how} is not waited for by it, and its message is acknowledged`, async (t) => {
    const { b, asha, bela } = await two(t);
    const delivered = watch(asha, "tick");
    const states = watch(bela, "state");
    const stopped = new Promise((resolve, reject) => {
      bela.onMessage = async () => {
        await pause();
        await soon(bela.stop(), "stop()").then(resolve, reject);
      };
    });
    await bela.start();
    await asha.send(b, "quit");
    await stopped;
    await soon(states.first(state("off")));
    await soon(delivered.first((tick) => tick.state === "delivered"), "the receipt");
    assert.equal(bela.state.code, undefined);
  });

  test(`C39: a loop that calls stop ${how} goes on to its end`, async (t) => {
    const { b, asha, bela } = await two(t);
    const delivered = watch(asha, "tick");
    await bela.start();
    await asha.send(b, "quit");
    for await (const message of bela.messages()) {
      await pause();
      assert.equal(message.text, "quit");
      await soon(bela.stop(), "stop()");
    }
    assert.equal(bela.state.name, "off");
    await soon(delivered.first((tick) => tick.state === "delivered"), "the receipt");
  });
}

test("C39: stop waits for a handler when somebody else calls it, and what the handler sends meanwhile goes out", async (t) => {
  const { a, b, asha, bela } = await two(t);
  const [came, ticks] = [watch(asha, "message"), watch(asha, "tick")];
  const isHanded = new Promise((resolve) => {
    bela.onMessage = async ({ text }) => {
      resolve();
      await new Promise((done) => setTimeout(done, 200));
      await bela.send(a, `echo ${text}`);
    };
  });
  await bela.start();
  await asha.send(b, "hi");
  await isHanded;
  await soon(bela.stop(), "stop()");
  await soon(came.first(({ text }) => text === "echo hi"));
  await soon(ticks.first((tick) => tick.state === "delivered"), "the receipt");
});

test("in a handler everything else works, too", async (t) => {
  const { a, b, asha, bela } = await two(t);
  const calls = new Promise((resolve, reject) => {
    bela.onMessage = async ({ peer, id }) => {
      const work = async () => {
        await bela.online();
        await bela.start();
        await bela.markRead(peer, [id]);
        await bela.post(a, "posted");
        bela.typing(a);
        bela.watch([a]);
        bela.connectNow();
        await bela.outboxChanged();
        await bela.send(a, "sent");
      };
      await soon(work()).then(resolve, reject);
    };
  });
  await bela.start();
  await asha.send(b, "hi");
  await calls;
});

test("start, twice at the same time, is one start: both know how it ended", async (t) => {
  const a = await person();
  let logIns = 0;
  const count = (url, how) => {
    logIns += String(url).endsWith("auth/login");
    return fetch(url, how);
  };
  const wrong = new Client(URL_, { mobileNo: a, password: "not this one", fetch: count });
  const ends = await Promise.allSettled([wrong.start(), wrong.start()]);
  assert.deepEqual(ends.map(({ reason }) => reason?.code), ["credentials_wrong", "credentials_wrong"]);
  assert.equal(logIns, 1);
  const client = new Client(URL_, { mobileNo: a, password: PASSWORD, fetch: count });
  t.after(() => client.stop());
  await Promise.all([client.start(), client.start()]);
  await client.online();
  await client.start();
  assert.equal(logIns, 2);
});

test("start, stop and start again at once: online, with one log-in that counts", async (t) => {
  const { bela } = await two(t);
  const first = bela.start();
  await soon(bela.stop(), "stop()");
  await soon(bela.start(), "start()");
  await soon(bela.online(), "online()");
  await first.catch(() => undefined);
  const connections = watch(bela, "state");
  await new Promise((done) => setTimeout(done, 300));
  assert.deepEqual([bela.state.name, connections.values], ["online", []]);
});

test("start ends stopped as connectNow does, and says why it does not end loggedOut", async (t) => {
  const { b, bela } = await two(t);
  await bela.start();
  await bela.online();
  const other = await online(t, b);
  await soon(watch(bela, "state").first(state("stopped")).then(() => bela.start()));
  await soon(bela.online());
  await other.stop();
  const bare = new Client(URL_, { store: bela.store });
  t.after(() => bare.stop());
  await bela.stop();
  await bare.start();
  await bare.online();
  await bare.api.logOut();
  await assert.rejects(soon(bare.start()), (error) => ["logged_out", "4509"].includes(error.code));
});

test("what is sent while it starts goes out", async (t) => {
  const { a, asha, bela } = await two(t);
  const came = watch(asha, "message");
  const started = bela.start(); // it asks for a session: that takes a while
  await soon(bela.send(a, "early"), "send()");
  await started;
  assert.equal((await soon(came.first())).text, "early");
});

test("before start: what is sent is kept, and everything else says what is missing", async () => {
  const client = new Client(URL_, { mobileNo: await person(), password: PASSWORD });
  await assert.rejects(client.send("919800000001", "hi"), failed("stopped"));
  assert.equal((await client.post("919800000001", "hi")).state, "waiting");
  await assert.rejects(client.online(), refused("off"));
  await assert.rejects(client.retry("m1"), failed("not_found"));
  await assert.rejects(client.api.me(), refused("token_missing"));
  await client.discard("m1");
  await client.markRead("919800000001", ["m1"]);
  await client.outboxChanged();
  client.typing("919800000001");
  client.watch(["919800000001"]);
  client.connectNow();
  await client.stop();
  assert.equal(client.state.name, "off");
  assert.equal((await client.store.load()).waiting.length, 2);
});

test("after stop: the same; and stop twice, and at the same time", async (t) => {
  const { a, bela } = await two(t);
  await bela.start();
  await bela.online();
  await soon(Promise.all([bela.stop(), bela.stop()]));
  await soon(bela.stop());
  await assert.rejects(bela.send(a, "hi"), failed("stopped"));
  await assert.rejects(bela.online(), refused("off"));
});

test("messages go to one taker: a second one is told so", async (t) => {
  const { b, asha, bela } = await two(t);
  const loop = bela.messages();
  const first = loop.next();
  await assert.rejects(bela.messages().next(), ClientError);
  assert.throws(() => (bela.onMessage = () => {}), ClientError);
  await bela.start();
  await asha.send(b, "one");
  await asha.send(b, "two");
  assert.equal((await soon(first)).value.text, "one");
  const [second, none] = [loop.next(), loop.return()]; // asked for before it is there
  assert.equal((await soon(second)).value.text, "two");
  await soon(none);
  bela.onMessage = () => {};
  await assert.rejects(bela.messages().next(), ClientError);
});

test("run: until stop, or until it ends by itself, with what the handler threw", async (t) => {
  const { b, asha, bela } = await two(t);
  let fails = false;
  bela.onMessage = () => {
    if (fails) throw new Error("mine");
    void bela.stop();
  };
  const runs = bela.run();
  await asha.send(b, "end well");
  await soon(runs, "run()");
  fails = true;
  const again = bela.run();
  await asha.send(b, "fail");
  await assert.rejects(soon(again, "run()"), ({ code, cause }) => code === "handler_failed" && cause.message === "mine");
  await bela.stop();
});

test("C7: neither console.log nor JSON show a password or a token", async (t) => {
  const client = await online(t, await person());
  const { token, refreshToken } = client.session;
  for (const shown of [inspect(client, { depth: 9 }), JSON.stringify(client.store), inspect(client.store, { depth: 9 })]) {
    for (const secret of [PASSWORD, token, refreshToken]) assert.equal(shown.includes(secret), false, shown.slice(0, 300));
  }
});

test("Node ends when a client was stopped, also while it waits for a server that does not answer", async (t) => {
  const silent = createServer(() => {}).listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.after(() => (silent.closeAllConnections(), silent.close()));
  const program = `
    import { Client } from "${new URL("../../../clients/js/src/index.js", import.meta.url)}";
    const client = new Client("http://127.0.0.1:${silent.address().port}", { mobileNo: "919800000001", password: "x" });
    const started = client.start();
    setTimeout(() => client.stop(), 200);
    await started;
    console.log(client.state.name);
  `;
  const node = spawn(process.execPath, [...process.execArgv, "--input-type=module", "--eval", program], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => node.kill());
  let said = "";
  node.stdout.on("data", (data) => (said += data));
  const [code] = await soon(once(node, "close"), "Node");
  assert.deepEqual([code, said.trim()], [0, "off"]);
});
