// The whole client against a running product, whose address is in PRODUCT_URL. People are made for each test.

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { FileStore } from "../../../clients/js/src/file-store.js";
import { Api, Client, MemoryStore, randomId } from "../../../clients/js/src/index.js";
import { PASSWORD, URL_, failed, online, person, refused, state, watch } from "./product.js";

test("two people talk: sent, delivered, read", async (t) => {
  const [a, b] = [await person("Asha"), await person("Bela")];
  const [asha, bela] = [await online(t, a), await online(t, b)];
  const ticks = watch(asha, "tick");
  const came = watch(bela, "message");
  const message = await asha.send(b, "hello");
  assert.equal(message.state, "sent");
  const chat = await came.first();
  assert.deepEqual([chat.peer, chat.text, chat.id, chat.timestamp], [a, "hello", message.id, message.timestamp]);
  await ticks.first(({ state: tick }) => tick === "delivered");
  await bela.markRead(a, [chat.id]);
  await ticks.first(({ state: tick, ids }) => tick === "read" && ids.includes(message.id));
});

test("an echo bot: a handler that sends, in order", async (t) => {
  const [a, b] = [await person(), await person("Bela")];
  const asha = await online(t, a);
  const bot = new Client(URL_, { mobileNo: b, password: PASSWORD });
  t.after(() => bot.stop());
  bot.onMessage = ({ peer, text }) => bot.send(peer, `echo ${text}`);
  await bot.start();
  const came = watch(asha, "message");
  for (let n = 0; n < 30; n += 1) await asha.post(b, String(n));
  await came.first(({ text }) => text === "echo 29");
  assert.deepEqual(came.values.map(({ text }) => text), Array.from({ length: 30 }, (_, n) => `echo ${n}`));
});

test("an iterator: a message is acknowledged when the next one is asked for", async (t) => {
  const [a, b] = [await person(), await person("Bela")];
  const asha = await online(t, a);
  await asha.send(b, "one");
  await asha.send(b, "two");
  const ticks = watch(asha, "tick");
  const bela = await online(t, b);
  for await (const { text } of bela.messages()) {
    if (text === "two") break; // it was not acknowledged, and comes again
  }
  await ticks.first(({ state: tick }) => tick === "delivered");
  assert.equal(ticks.values.length, 1);
  await bela.stop();
  const again = [];
  const next = await online(t, b, { store: new MemoryStore() });
  for await (const { text } of next.messages()) {
    again.push(text);
    break;
  }
  assert.deepEqual(again, ["two"]);
});

test("an iterator ends with the client", async (t) => {
  const bela = await online(t, await person());
  const seen = [];
  const loop = (async () => {
    for await (const message of bela.messages()) seen.push(message);
  })();
  await bela.stop();
  await loop;
  assert.deepEqual(seen, []);
});

test("nothing is acknowledged while nobody takes it", async (t) => {
  const [a, b] = [await person(), await person("Bela")];
  const asha = await online(t, a);
  const bela = await online(t, b);
  await asha.send(b, "hello");
  await bela.send(a, "I only send");
  assert.equal((await bela.api.devices())[0].waiting >= 1, true);
  const message = await new Promise((resolve) => bela.on("message", resolve));
  assert.equal(message.text, "hello");
});

test("C17–C24: refusals here and there", async (t) => {
  const [a, b] = [await person(), await person("Bela")];
  const asha = await online(t, a);
  await assert.rejects(asha.send(b, ""), failed("message_empty"));
  await assert.rejects(asha.send(a, "me"), failed("self_message"));
  await assert.rejects(asha.send("919899999999", "nobody"), failed("no_such_person"));
  assert.equal((await asha.send(`+${b.slice(0, 2)} ${b.slice(2)}`, "half \ud83d")).text, "half \ufffd");
  await asha.send(b, "first", { id: "m1" });
  assert.equal((await asha.send(b, "first", { id: "m1" })).state, "sent");
  const failures = watch(asha, "failed");
  await assert.rejects(asha.send(b, "second", { id: "m1" }), failed("message_id_reused"));
  const [lost] = failures.values;
  assert.deepEqual([lost.text, lost.state, lost.error.code], ["second", "failed", "message_id_reused"]);
  const ticks = watch(asha, "tick");
  const again = await asha.retry("m1");
  assert.notEqual(again.id, "m1");
  await ticks.first(({ ids }) => ids.includes(again.id));
  await assert.rejects(asha.retry("m1"), failed("not_found"));
});

test("C24: after another failure a retry has the old id, and what is discarded is gone", async (t) => {
  const asha = await online(t, await person());
  const failures = watch(asha, "failed");
  const nobody = `9197${String(Math.floor(Math.random() * 1e8)).padStart(8, "0")}`;
  await assert.rejects(asha.send(nobody, "too early", { id: "m1" }), failed("no_such_person"));
  assert.equal((await asha.retry("m1")).id, "m1");
  await failures.first(() => failures.values.length === 2);
  await asha.discard("m1");
  await assert.rejects(asha.retry("m1"), failed("not_found"));
});

test("C39, C40: a client that stops keeps what waits; the next one on the same file sends it", async (t) => {
  const [a, b] = [await person(), await person("Bela")];
  const bela = await online(t, b);
  const came = watch(bela, "message");
  const path = join(mkdtempSync(join(tmpdir(), "wm-")), "asha");
  const first = await FileStore.open(path);
  await first.saveSession(await new Api(URL_).logIn({ mobileNo: a, password: PASSWORD }));
  const offline = new Client(URL_, { store: first, fetch: () => Promise.reject(new TypeError("no network")) });
  const pauses = watch(offline, "state");
  await offline.start();
  await pauses.first(state("pausing"));
  for (const text of ["one", "two", "three"]) await offline.post(b, text);
  const waits = offline.send(b, "four");
  waits.catch(() => undefined);
  await watch(offline, "posted").first(({ text }) => text === "four");
  await offline.stop();
  await assert.rejects(waits, failed("stopped"));
  await first.close();
  const store = await FileStore.open(path);
  const asha = new Client(URL_, { store });
  t.after(() => asha.stop().finally(() => store.close()));
  await asha.start();
  await came.first(({ text }) => text === "four");
  assert.deepEqual(came.values.map(({ text }) => text), ["one", "two", "three", "four"]);
});

test("a client that was not started only keeps; outboxChanged tells the one that was", async (t) => {
  const [a, b] = [await person(), await person("Bela")];
  const [store, bela] = [new MemoryStore(), await online(t, b)];
  const leader = await online(t, a, { store });
  const follower = new Client(URL_, { store });
  const came = watch(bela, "message");
  await follower.post(b, "from another tab");
  assert.equal((await follower.api.me()).mobileNo, a);
  await leader.outboxChanged();
  assert.equal((await came.first()).text, "from another tab");
});

test("C13: replaced by a newer connection of the device, it stops; connectNow takes it back", async (t) => {
  const a = await person();
  const first = await online(t, a);
  const ends = watch(first, "state");
  const second = await online(t, a);
  assert.equal((await ends.first(state("stopped"))).code, "4508");
  await assert.rejects(first.online(), refused("4508"));
  const next = watch(second, "state");
  first.connectNow();
  await first.online();
  await next.first(state("stopped"));
});

test("C5: a session that was ended elsewhere: without a password logged out, with one logged in anew", async (t) => {
  const a = await person();
  const session = await new Api(URL_).logIn({ mobileNo: a, password: PASSWORD, deviceId: "other" });
  const store = new MemoryStore();
  await store.saveSession(session);
  const bare = await online(t, a, { store, password: undefined });
  const ends = watch(bare, "state");
  const admin = await online(t, a, { deviceId: "admin" });
  const mine = (await admin.api.sessions()).find(({ deviceId }) => deviceId === "other");
  await admin.api.endSession(mine.id);
  assert.equal((await ends.first(state("loggedOut"))).code, "4509");
  while ((await store.load()).session) await new Promise(setImmediate); // it is removed, or the test never ends
  await bare.logIn(PASSWORD);
  await bare.online();
  await store.saveSession({ ...bare.session, token: "x.y.z" });
  const other = await online(t, a, { store, deviceId: "other" });
  assert.notEqual(other.session.token, "x.y.z", "token_invalid, and the password was there");
});

test("C2: a token that is over is refreshed, and the request sent again", async (t) => {
  const a = await person();
  const store = new MemoryStore();
  await store.saveSession(await new Api(URL_).logIn({ mobileNo: a, password: PASSWORD }));
  let refusals = 0;
  const fetch_ = async (url, how) => {
    const isMe = String(url).endsWith("/v1/me");
    if (!isMe || (refusals += 1) > 1) return fetch(url, how);
    return new Response('{"success":false,"code":"token_expired","message":"x"}', { status: 401 });
  };
  const before = (await store.load()).session;
  assert.equal((await new Client(URL_, { store, fetch: fetch_ }).api.me()).mobileNo, a);
  const after = (await store.load()).session;
  assert.notEqual(after.refreshToken, before.refreshToken);
  assert.equal(refusals, 2);
});

test("start: a wrong password is told, and logIn goes on", async (t) => {
  const a = await person();
  const client = new Client(URL_, { mobileNo: a, password: "not this one" });
  t.after(() => client.stop());
  await assert.rejects(client.start(), refused("credentials_wrong"));
  assert.equal(client.state.name, "loggedOut");
  await client.logIn(PASSWORD);
  await client.online();
});

test("start: a server that cannot be reached is waited for", async (t) => {
  const a = await person();
  let isDown = true;
  const client = new Client(URL_, {
    mobileNo: a,
    password: PASSWORD,
    fetch: (url, how) => (isDown ? Promise.reject(new TypeError("down")) : fetch(url, how)),
  });
  t.after(() => client.stop());
  const pauses = watch(client, "state");
  await client.start();
  await pauses.first(state("pausing"));
  isDown = false;
  client.connectNow();
  await client.online();
});

test("start: without a WebSocket it says what is missing", async () => {
  const own = Object.getOwnPropertyDescriptor(globalThis, "WebSocket");
  delete globalThis.WebSocket;
  try {
    await assert.rejects(new Client(URL_).start(), /Node 22 has one; Node 20 has one with --experimental-websocket/);
  } finally {
    Object.defineProperty(globalThis, "WebSocket", own);
  }
});

test("two devices show one conversation", async (t) => {
  const [a, b] = [await person(), await person("Bela")];
  const [phone, laptop] = [await online(t, a, { deviceId: "phone" }), await online(t, a, { deviceId: "laptop" })];
  const [own, ticks, read, came] = [watch(laptop, "own"), watch(laptop, "tick"), watch(laptop, "ownRead"), watch(phone, "message")];
  laptop.on("message", () => {});
  const bela = await online(t, b);
  bela.on("message", ({ peer, id }) => bela.markRead(peer, [id]));
  const { id, timestamp } = await phone.send(b, "hello");
  const copy = await own.first();
  assert.deepEqual([copy.id, copy.text, copy.timestamp, copy.peer, copy.mine], [id, "hello", timestamp, b, true]);
  await ticks.first(({ state: tick }) => tick === "read");
  await bela.send(a, "hi");
  await phone.markRead(b, [(await came.first()).id]);
  assert.equal((await read.first()).peer, b);
});

test("presence and typing", async (t) => {
  const [a, b] = [await person(), await person("Bela")];
  const asha = await online(t, a);
  const [seen, typing] = [watch(asha, "presence"), watch(asha, "typing")];
  asha.watch([b]);
  assert.equal((await seen.first()).online, false);
  const bela = await online(t, b);
  await seen.first(({ online: is }) => is);
  assert.equal(asha.presence(b).online, true);
  bela.typing(a);
  await typing.first(({ peer, active }) => peer === b && active);
  assert.equal(asha.isTyping(b), true);
  bela.typing(a, false);
  await typing.first(({ active }) => !active);
  await bela.stop();
  await seen.first(({ online: is, lastSeen }) => !is && lastSeen > 0);
});

test("C7: what may be looked on at holds no token", async (t) => {
  const a = await person();
  const client = new Client(URL_, { mobileNo: a, password: PASSWORD });
  const frames = watch(client, "frame");
  t.after(() => client.stop());
  client.watch(["919899999998"]);
  await client.start();
  await frames.first(({ frame }) => frame.type === "presence");
  const text = JSON.stringify(frames.values);
  assert.deepEqual([text.includes(client.session.token), text.includes("ticket"), text.includes(PASSWORD)], [false, false, false]);
  assert.deepEqual(new Set(frames.values.map(({ direction }) => direction)), new Set(["in", "out"]));
});

test("every route is a method", async (t) => {
  const [a, b] = [await person(), await person("Bela")];
  const { api } = await online(t, a, { deviceId: "phone", deviceName: "Asha's phone" });
  assert.equal((await api.health()).status, "ok");
  assert.equal((await api.ready()).checks.redis, true);
  assert.equal((await api.updateMe({ about: "At the sea" })).about, "At the sea");
  assert.deepEqual([(await api.me()).about, (await api.me()).deviceId], ["At the sea", "phone"]);
  assert.deepEqual((await api.devices()).map(({ deviceName }) => deviceName), ["Asha's phone"]);
  assert.equal((await api.securityEvents({ limit: 1 })).length, 1);
  await api.block(b);
  assert.deepEqual(await api.blocked(), [{ username: "Bela", mobileNo: b }]);
  await api.unblock(b);
  assert.deepEqual(await api.blocked(), []);
  assert.equal((await api.lastSeen(b)).username, "Bela");
  assert.deepEqual((await api.lookup([b, "919811111111"])).data, [{ index: 0, mobileNo: b, name: "Bela" }]);
  assert.equal((await api.setPrivacy({ lastSeen: "nobody" })).lastSeen, "nobody");
  assert.equal((await api.privacy()).lastSeen, "nobody");
  assert.equal((await api.exportAll()).profile.mobileNo, a);
  const other = await online(t, a, { deviceId: "laptop" });
  const ends = watch(other, "state");
  await api.unlinkDevice("laptop");
  await ends.first(({ name }) => name === "pausing" || name === "loggedOut");
  await api.changePassword({ currentPassword: PASSWORD, newPassword: "another horse" });
  assert.equal((await api.logOutEverywhere()).ended, 0);
  await assert.rejects(api.requestCode(a), refused("codes_off"));
  await assert.rejects(api.resetPassword({ mobileNo: a, code: "123456", newPassword: "another horse" }), refused("codes_off"));
  assert.equal((await api.openapi()).openapi.startsWith("3.1"), true);
  assert.equal((await api.asyncapi()).asyncapi.startsWith("3"), true);
  await assert.rejects(new Api(URL_).me(), refused("token_missing"));
});

test("a log-out, another number, and the end of an account", async (t) => {
  const a = await person();
  const client = await online(t, a);
  const ends = watch(client, "state");
  const next = `9196${String(Math.floor(Math.random() * 1e8)).padStart(8, "0")}`;
  assert.equal((await client.api.changeNumber({ mobileNo: next, password: PASSWORD })).mobileNo, next);
  assert.equal(client.mobileNo, next);
  await client.online();
  await client.api.logOut();
  // The server closes the socket (4509) when it has answered: either may come first.
  assert.match((await ends.first(state("loggedOut"))).code, /^(logged_out|4509)$/);
  await client.logIn(PASSWORD);
  await client.online();
  await client.api.deleteAccount(PASSWORD);
  assert.deepEqual([client.state.name, client.session], ["loggedOut", null]);
  await assert.rejects(new Api(URL_).logIn({ mobileNo: next, password: PASSWORD }), refused("credentials_wrong"));
});

test("too many devices: stopped, and logIn with the one to replace goes on", async (t) => {
  const a = await person();
  for (const n of [1, 2, 3, 4, 5]) await new Api(URL_).logIn({ mobileNo: a, password: PASSWORD, deviceId: `d${n}` });
  const client = new Client(URL_, { mobileNo: a, password: PASSWORD, deviceId: "d6" });
  t.after(() => client.stop());
  await assert.rejects(client.start(), (error) => refused("too_many_devices")(error) && error.devices.length === 5);
  await client.logIn(PASSWORD, { replaceDeviceId: "d1" });
  await client.online();
  assert.equal(client.session.deviceId, "d6");
});

test("a listener that throws is its program's mistake; the client goes on", async (t) => {
  const [a, b] = [await person(), await person("Bela")];
  const asha = await online(t, a);
  const thrown = [];
  globalThis.reportError = (error) => thrown.push(error.message); // as browsers have it
  t.after(() => delete globalThis.reportError);
  asha.on("posted", () => {
    throw new Error("mine");
  });
  await asha.send(b, "hello", { id: randomId() });
  assert.deepEqual(thrown, ["mine"]);
});
