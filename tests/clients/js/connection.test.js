// C9–C16: opening, pausing, close codes, refusals, pings, what is no frame.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BELA, World, chat, refusal, sent, waiting } from "./support.js";

test("C9: nothing is sent before hello", () => {
  const world = new World({ kept: { waiting: [waiting("a")], reads: [{ peer: "9", ids: ["x"] }] } }).start().ticket();
  world.do((core, now) => core.people.type(now, "9", true)).do((core) => core.people.watch(["9"]));
  world.receive({ type: "pong" }).pass(9_000);
  assert.deepEqual(world.frames, []);
  world.hello();
  assert.deepEqual(world.frames.map(({ type }) => type), ["ack", "watch", "chat"]);
});

test("C9: each socket has a fresh ticket", () => {
  const world = new World().online().close(1006).pass(0);
  assert.equal(world.did("ticket").length, 2);
  assert.deepEqual(world.did("open").map(({ ticket }) => ticket), ["t"]);
});

test("C9: what comes from a socket that was given up counts for nothing", () => {
  const world = new World().online();
  const old = world.core.round;
  world.close(1006).forget();
  world.do((core, now) => core.received(now, old, JSON.stringify(chat(1)))).do((core, now) => core.closed(now, old, 4508, ""));
  world.do((core, now) => core.ticket(now, old, "old")).do((core, now) => core.refused(now, old, { code: "x", message: "" }, true));
  assert.deepEqual(world.effects, []);
});

test("C10: without hello within 10 s the socket is closed", () => {
  const world = new World().start().ticket().pass(9_999);
  assert.equal(world.state, "connecting");
  world.random = 0.5;
  world.pass(1);
  assert.equal(world.state, "pausing");
  assert.equal(world.did("close").length, 1);
});

test("C11: full jitter, doubled up to 30 s", () => {
  const world = new World().online();
  world.random = 0.5;
  const waits = [];
  for (let n = 0; n < 7; n += 1) {
    world.close(1006);
    waits.push(world.wait);
    world.pass(world.wait).ticket();
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
});

test("C11: the count begins anew after 10 s online, not before", () => {
  const world = new World().online().close(1006).reconnect().pass(9_999);
  world.random = 0.5;
  world.close(1006);
  assert.equal(world.wait, 1_000);
  world.reconnect().pass(10_000).close(1006);
  assert.equal(world.wait, 500);
});

test("C12: retryAfter of a frame is obeyed, and a second of jitter added", () => {
  for (const [random, wait] of [[0, 7_500], [0.999, 8_499]]) {
    const world = new World().online().receive(refusal("draining", { component: "server", retryAfter: 7.5 }));
    world.random = random;
    world.close(4012);
    assert.equal(world.wait, wait);
  }
});

test("C12: it holds for one pause only", () => {
  const world = new World().online().receive(refusal("draining", { component: "server", retryAfter: 7.5 })).close(4012);
  world.reconnect().close(1006);
  assert.equal(world.wait, 0);
});

test("C12: a refused ticket's retryAfter is obeyed", () => {
  const world = new World().start().refuse("rate_limited", { retryAfter: 40 });
  assert.deepEqual([world.state, world.wait], ["pausing", 40_000]);
});

test("C12: a first log-in's retryAfter is obeyed", () => {
  const world = new World();
  world.do((core, now) => core.start(now, world.kept, { code: "rate_limited", message: "No.", retryAfter: 9 }));
  assert.deepEqual([world.state, world.wait, world.did("ticket")], ["pausing", 9_000, []]);
});

test("C12: the network's return ends a pause, but not one that the server asked for; a person's wish ends both", () => {
  const world = new World().start().refuse("unreachable");
  world.do((core) => core.connectNow(false));
  assert.equal(world.state, "connecting");
  world.refuse("busy", { retryAfter: 5 }).do((core) => core.connectNow(false));
  assert.equal(world.state, "pausing");
  world.do((core) => core.connectNow());
  assert.equal(world.state, "connecting");
});

for (const code of [1000, 1001, 1002, 1005, 1006, 1007, 1009, 1012, 3000, 4000, 4001, 4002, 4003, 4004, 4005, 4012, 4499]) {
  test(`C13: after ${code} it pauses, and connects`, () => {
    const world = new World().online().close(code);
    assert.equal(world.state, "pausing");
    assert.equal(world.pass(world.wait).state, "connecting");
  });
}

for (const code of [1008, 1011, 4500, 4502, 4503, 4504, 4508, 4999]) {
  test(`C13: after ${code} it stops, and only a person's wish goes on`, () => {
    const world = new World().online().close(code, "why");
    assert.deepEqual(world.core.state, { name: "stopped", code: String(code), reason: "why" });
    world.pass(10 ** 8).do((core) => core.connectNow(false));
    assert.equal(world.state, "stopped");
    world.do((core) => core.connectNow());
    assert.equal(world.state, "connecting");
  });
}

test("C13: after 4501 it refreshes, and connects at once; the second time in a row after a pause", () => {
  const world = new World().online().close(4501);
  assert.equal(world.state, "connecting");
  assert.deepEqual(world.did("ticket").map(({ refresh }) => refresh), [false, true]);
  world.random = 0.5;
  world.ticket().hello().close(4501);
  assert.equal(world.state, "pausing");
  world.reconnect();
  assert.deepEqual(world.did("ticket").map(({ refresh }) => refresh), [false, true, true]);
  world.pass(10_000).receive({ type: "synced", count: 0 }).close(4501);
  assert.equal(world.state, "connecting", "a connection that was good for long comes between");
});

test("C13: 4509 ends the session, without logging in anew", () => {
  const world = new World().online().close(4509, "logged out");
  assert.deepEqual(world.core.state, { name: "loggedOut", code: "4509", reason: "logged out" });
  assert.equal(world.did("forget").length, 1);
  world.pass(10 ** 8).do((core) => core.connectNow());
  assert.equal(world.state, "loggedOut");
  world.do((core) => core.loggedIn());
  assert.equal(world.state, "connecting");
});

test("C14: refusals of a ticket", () => {
  const after = (code, more, isFinal) => new World().start().refuse(code, more, isFinal).state;
  assert.equal(after("rate_limited", { retryAfter: 1 }), "pausing");
  assert.equal(after("unavailable"), "pausing");
  assert.equal(after("unreachable"), "pausing");
  assert.equal(after("internal"), "pausing");
  assert.equal(after("bad_answer"), "pausing");
  assert.equal(after("too_many_devices"), "stopped");
  assert.equal(after("credentials_wrong", {}, true), "loggedOut");
});

test("C15: silence brings a ping after pingSeconds, and any frame is a sign of life", () => {
  const world = new World().online({ pingSeconds: 7 }).pass(6_999);
  assert.deepEqual(world.frames, []);
  world.receive({ type: "synced", count: 0 }).pass(6_999);
  assert.deepEqual(world.frames, []);
  world.pass(1);
  assert.deepEqual(world.frames, [{ type: "ping" }]);
  world.pass(9_999).receive({ type: "pong" }).pass(6_999);
  assert.equal(world.frames.length, 1);
  assert.equal(world.state, "online");
});

test("C15: without an answer to the ping it connects at once, once", () => {
  const world = new World().online().pass(20_000);
  world.random = 0.5;
  world.pass(9_999);
  assert.equal(world.state, "online");
  world.pass(1);
  assert.deepEqual([world.state, world.did("close").length], ["connecting", 1]);
  world.ticket().hello().pass(30_000);
  assert.equal(world.state, "pausing", "the second time in a row after a pause");
});

test("C16: unknown frames and fields are passed over, and so are frames that are not whole", () => {
  const world = new World().online().forget();
  world.receive({ type: "news", of: "tomorrow" }, { type: "toString" }, { type: 5 }, chat(1, { more: 1 }), chat(2, { streamId: 2 }));
  world.receive({ type: "ack", from: "9", messageIds: [1], ackType: "read", timestamp: 1, streamId: "3-0" });
  world.hear("5").hear("[]").hear('[null, 5, "x"]').hear('{"type":"sent"}');
  assert.deepEqual(world.acks, [["1-0"]]);
  assert.equal(world.state, "online");
});

test("C16: fields of any type and size throw nothing, and mean nothing", () => {
  const odd = [{ toString: 1, valueOf: 1 }, [{ toString: 1 }], "x", -1, 1e300, null, true];
  const world = new World({ kept: { waiting: [waiting("a")] } }).online();
  for (const value of odd) {
    for (const component of ["chat", "ack", "watch", "frame", value]) {
      const more = { message: value, retryAfter: value, mobileNos: value, streamIds: value };
      world.receive({ type: "error", code: "x", component, messageId: value, to: value, ...more });
    }
    world.receive({ type: "resync", epoch: "e1", reason: value }, { type: "presence", mobileNo: BELA, online: false, lastSeen: value });
    world.receive(chat(1, { timestamp: value }), { ...sent("a"), timestamp: value });
  }
  world.hear(`{"type":"error","code":"x","message":${"[".repeat(100_000)}${"]".repeat(100_000)}}`);
  assert.deepEqual([world.state, world.acks], ["online", []]);
  world.hear('{"type":"error","code":"draining","retryAfter":1e999}').close(1001);
  assert.ok(world.wait <= 1_000, "a pause that has no end is none");
});

test("many timers at once throw nothing", () => {
  const world = new World().online();
  const many = Array.from({ length: 15_000 }, (_, n) => n);
  for (let part = 0; part < 10; part += 1) {
    world.receive(...many.map((n) => ({ type: "typing", from: `${part}-${n}`, active: true })));
  }
  assert.ok(world.core.deadline() > world.now);
});

for (const text of ["{", "", '[{"type":"chat"', null, JSON.stringify([chat(1, { message: "x".repeat(1 << 20) })])]) {
  test(`C16: ${JSON.stringify(text)?.slice(0, 60)} ends the connection, and nothing of it counts`, () => {
    const world = new World().online().hear(text);
    assert.deepEqual([world.state, world.did("close").length, world.did("apply").length], ["pausing", 1, 0]);
  });
}

test("C16: a byte order mark is passed over", () => {
  assert.deepEqual(new World().online().hear(`\ufeff${JSON.stringify(chat(1))}`).acks, [["1-0"]]);
});
