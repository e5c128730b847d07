// C36–C40: presence, typing, and the end.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BELA, CARL, World, chat, refusal, sent, waiting } from "./support.js";

const presence = (mobileNo, online, more = {}) => ({ type: "presence", mobileNo, online, ...more });
const typing = (from, active) => ({ type: "typing", from, active });
const numbers = (count) => Array.from({ length: count }, (_, n) => String(919800001000 + n));
const watch = (...mobileNos) => (core) => core.people.watch(mobileNos);

test("C36: what is watched is watched again after each hello, 200 in a frame", () => {
  const world = new World().do((core) => core.people.watch(numbers(250))).online();
  assert.deepEqual(world.frames.map(({ type, mobileNos }) => [type, mobileNos.length]), [["watch", 200], ["watch", 50]]);
  assert.equal(world.close(1006).forget().reconnect().frames.length, 2);
});

test("C36: each number is asked for once, and no more after unwatch", () => {
  const world = new World().online().do(watch(BELA, BELA)).do(watch(BELA, CARL)).do((core) => core.people.unwatch([BELA, "1"]));
  assert.deepEqual(world.frames.map(({ type, mobileNos }) => [type, ...mobileNos]), [["watch", BELA], ["watch", CARL], ["unwatch", BELA]]);
  assert.deepEqual(world.close(1006).forget().reconnect().frames.map(({ mobileNos }) => mobileNos), [[CARL]]);
});

test("C36: nobody is shown as online while the client is not", () => {
  const world = new World().online().do(watch(BELA, CARL)).receive(presence(BELA, true), presence(CARL, false, { lastSeen: 5 }));
  world.close(1006);
  assert.deepEqual(world.heard("presence"), [
    { mobileNo: BELA, online: true }, { mobileNo: CARL, online: false, lastSeen: 5 }, { mobileNo: BELA, online: false },
  ]);
  assert.deepEqual(world.core.people.presence.get(BELA), { online: false });
});

test("C36: rate_limited is tried again after retryAfter", () => {
  const all = numbers(20);
  const world = new World().online().do(watch(...all)).forget();
  world.receive(refusal("rate_limited", { component: "watch", retryable: true, mobileNos: all.slice(0, 16), retryAfter: 6 }));
  world.do((core) => core.people.unwatch([all[0]])).forget().pass(5_999);
  assert.deepEqual(world.frames, []);
  assert.deepEqual(world.pass(1).frames, [{ type: "watch", mobileNos: all.slice(1) }]);
  assert.deepEqual(world.events, []);
});

test("C36: too_many_watched is told, and these numbers are not asked for again", () => {
  const world = new World().online().do(watch(BELA)).do(watch(CARL)).receive(presence(BELA, false));
  world.receive(refusal("too_many_watched", { component: "watch", mobileNos: [CARL] }));
  assert.deepEqual(world.heard("notice").map(({ code, mobileNos }) => [code, mobileNos]), [["too_many_watched", [CARL]]]);
  assert.deepEqual(world.close(1006).forget().reconnect().frames.map(({ mobileNos }) => mobileNos), [[BELA]]);
});

test("C37: at each key, at most one frame in 3 s, and false 5 s after the last key", () => {
  const world = new World().online();
  const times = [];
  for (let at = 0; at < 60; at += 1) {
    const before = world.frames.length;
    world.do((core, now) => core.people.type(now, BELA, true));
    if (world.frames.length > before) times.push(at * 100);
    world.pass(100);
  }
  assert.deepEqual(times, [0, 3_000]);
  assert.deepEqual(world.pass(4_899).frames.at(-1).active, true);
  assert.deepEqual(world.pass(1).frames.at(-1), { type: "typing", to: BELA, active: false });
  assert.equal(world.pass(60_000).frames.filter(({ type }) => type === "typing").length, 3);
});

test("C37: false when a message goes out, and when the program says so, once", () => {
  const world = new World().online().do((core, now) => core.people.type(now, BELA, true)).post(waiting("a"));
  assert.deepEqual(world.frames.map(({ type, active }) => active ?? type), [true, false, "chat"]);
  world.do((core, now) => core.people.type(now, CARL, true)).do((core, now) => core.people.type(now, CARL, false)).forget();
  world.do((core, now) => core.people.type(now, CARL, false)).pass(9_000);
  assert.deepEqual(world.frames, []);
});

test("C37: it is dropped while not online", () => {
  const world = new World().do((core, now) => core.people.type(now, BELA, true)).online().pass(6_000);
  assert.deepEqual(world.frames, []);
  world.do((core, now) => core.people.type(now, BELA, true)).close(1006).forget().reconnect().pass(9_000);
  assert.deepEqual(world.frames, []);
});

test("C38: somebody's typing ends with false, their chat, after 10 s, and with the connection", () => {
  const begins = () => new World().online().receive(typing(BELA, true), typing(CARL, true)).forget();
  const ended = (world) => world.heard("typing").map(({ peer, active }) => [peer, active]);
  assert.deepEqual(ended(begins().receive(typing(BELA, false))), [[BELA, false]]);
  assert.deepEqual(ended(begins().receive(chat(1))), [[BELA, false]]);
  assert.deepEqual(ended(begins().close(1006)), [[BELA, false], [CARL, false]]);
  const world = begins().pass(9_000).receive(typing(BELA, true)).pass(1_000);
  assert.deepEqual(ended(world), [[CARL, false]], "who goes on typing is shown for longer");
  assert.deepEqual(ended(world.pass(9_000)), [[CARL, false], [BELA, false]]);
});

test("C39: stop waits for the answer, begins nothing new, and closes", () => {
  const world = new World().online().post(waiting("a"), waiting("b")).do((core, now) => core.stop(now, 10_000));
  assert.equal(world.state, "online");
  world.receive(sent("a"));
  assert.deepEqual([world.state, world.went], ["off", ["a"]]);
  assert.deepEqual(world.effects.slice(-3).map((one) => one.do), ["close", "state", "abandon"]);
  assert.equal(world.core.deadline(), Infinity, "no timer is left");
});

test("C39: stop waits for what was handed over, and hands over no more", () => {
  const world = new World({ taker: "handler" }).online().receive(chat(1), chat(2)).do((core, now) => core.stop(now, 10_000));
  assert.equal(world.state, "online");
  world.returns();
  assert.deepEqual([world.state, world.acks, world.hands.length], ["off", [["1-0"]], 1]);
});

test("C39: a refusal is an answer, too", () => {
  for (const retryable of [true, false]) {
    const world = new World().online().post(waiting("a")).do((core, now) => core.stop(now, 10_000));
    assert.equal(world.receive(refusal("x", { messageId: "a", to: BELA, retryable })).state, "off");
  }
});

test("C39: not longer than it may take", () => {
  const world = new World({ taker: "handler" }).online().post(waiting("a")).receive(chat(1)).do((core, now) => core.stop(now, 3_000));
  assert.equal(world.pass(2_999).state, "online");
  assert.equal(world.pass(1).state, "off");
});

test("C39: while it stops, a lost connection is the end", () => {
  const world = new World().online().post(waiting("a")).do((core, now) => core.stop(now, 10_000)).close(1006);
  assert.equal(world.state, "off");
  const silent = new World().online().post(waiting("a")).do((core, now) => core.stop(now, 60_000)).pass(10_000);
  assert.equal(silent.state, "off");
});

test("C39: while it stops, whatever ends it is the end", () => {
  for (const end of [(core) => core.storeFailed(new Error("full")), (core) => core.sessionEnded("session_revoked")]) {
    assert.equal(new World().online().post(waiting("a")).do((core, now) => core.stop(now, 10_000)).do(end).state, "off");
  }
});

test("C39: in a pause and while connecting it stops at once", () => {
  assert.equal(new World().start().do((core, now) => core.stop(now, 10_000)).state, "off");
  assert.equal(new World().online().close(1006).do((core, now) => core.stop(now, 10_000)).pass(10 ** 6).state, "off");
});

test("C39: what the handler returned after the end is kept, and acknowledged when it comes again", () => {
  const world = new World({ taker: "handler" }).online().receive(chat(1)).do((core, now) => core.stop(now, 0)).pass(0);
  assert.equal(world.returns().applies.length, 1);
  world.online().receive(chat(1));
  assert.deepEqual(world.acks[0], ["1-0"]);
});

test("C40: all who wait for an answer hear of the end", () => {
  for (const end of [
    (world) => world.do((core, now) => core.stop(now, 0)).pass(0),
    (world) => world.close(4508),
    (world) => world.close(4509),
    (world) => world.do((core) => core.sessionEnded()),
  ]) {
    const world = new World().online().post(waiting("a"));
    end(world);
    assert.equal(world.did("abandon").length, 1);
  }
  assert.equal(new World().online().post(waiting("a")).close(1006).did("abandon").length, 0);
});
