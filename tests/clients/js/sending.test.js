// C17–C26: what is sent when, in which order, how often, and what has failed.

import assert from "node:assert/strict";
import { test } from "node:test";

import { SendFailed } from "../../../clients/js/src/errors.js";
import { newMessage, randomId } from "../../../clients/js/src/messages.js";
import { BELA, CARL, ME, World, receipt, refusal, sent, waiting } from "./support.js";

const refusedWith = (code, peer, text, how) =>
  assert.throws(() => newMessage(peer, text, how), (error) => error instanceof SendFailed && error.code === code);

/** Refusals that name a message. */
const no = (messageId, more = {}) => refusal("mailbox_full", { messageId, to: BELA, retryable: true, ...more });

test("C17: ids are random, of 122 bits, also where crypto.randomUUID is missing", () => {
  const ids = new Set(Array.from({ length: 1_000 }, randomId));
  assert.equal(ids.size, 1_000);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("C17: a half of a surrogate pair is replaced, a whole one is not", () => {
  assert.equal(newMessage(BELA, "a\ud83d b\udc00 😀").text, "a\ufffd b\ufffd 😀");
});

test("C17: a message has what it needs, and the id that the caller names", () => {
  const message = newMessage(BELA, "hello", { id: "m7", timestamp: 3 });
  assert.deepEqual(message, { id: "m7", peer: BELA, mine: true, text: "hello", timestamp: 3, state: "waiting" });
});

test("C18: what would be refused in any case is refused at once", () => {
  refusedWith("message_empty", BELA, "");
  refusedWith("message_too_large", BELA, "ä".repeat(8_193));
  refusedWith("message_too_large", BELA, "abc", { maxBytes: 2 });
  refusedWith("self_message", ME, "hello", { own: ME });
  for (const id of ["", "a b", "ä", "x".repeat(129)]) refusedWith("bad_message_id", BELA, "hello", { id });
  assert.equal(newMessage(BELA, "ä".repeat(8_192)).text.length, 8_192);
});

test("C18: the limit is the one of hello", () => {
  const world = new World();
  assert.equal(world.core.maxBytes, 16_384);
  assert.equal(world.online({ maxMessageBytes: 100 }).core.maxBytes, 100);
});

test("C19: to one recipient one at a time, to several together", () => {
  const world = new World({ kept: { waiting: [waiting("a"), waiting("b"), waiting("c", CARL), waiting("d", CARL)] } }).online();
  assert.deepEqual(world.went, ["a", "c"]);
  world.receive(sent("c", CARL));
  assert.deepEqual(world.went, ["a", "c", "d"]);
  world.receive(sent("a"));
  assert.deepEqual(world.went, ["a", "c", "d", "b"]);
});

test("C19: at most 32 together, the oldest first", () => {
  const all = Array.from({ length: 40 }, (_, n) => waiting(`m${n}`, `91980000${1000 + n}`));
  const world = new World({ kept: { waiting: all } }).online();
  assert.deepEqual(world.went, all.slice(0, 32).map(({ id }) => id));
  world.receive(sent("m5", all[5].peer));
  assert.equal(world.went.at(-1), "m32");
});

test("C19: 10,000 to one recipient go out one after the other, in their order", () => {
  const all = Array.from({ length: 10_000 }, (_, n) => waiting(`m${n}`));
  const world = new World({ kept: { waiting: all } }).online();
  for (const { id } of all) world.receive(sent(id));
  assert.deepEqual(world.went, all.map(({ id }) => id));
});

test("C20: sent is the answer, with the server's time", () => {
  const world = new World().online().post(waiting("a")).receive(sent("a", BELA, 77));
  assert.deepEqual(world.settled, [["a", "sent"]]);
  assert.deepEqual(world.heard("tick"), [{ peer: BELA, ids: ["a"], state: "sent", timestamp: 77 }]);
  assert.deepEqual(world.applies.at(-1).changes, [{ kind: "sent", peer: BELA, id: "a", timestamp: 77 }]);
});

test("C20: a receipt for what waits counts as sent, too", () => {
  const world = new World().online().post(waiting("a"), waiting("b")).receive(receipt(["a"]));
  assert.deepEqual(world.settled, [["a", "sent"]]);
  assert.deepEqual(world.applies[0].changes.map(({ kind }) => kind), ["sent", "receipt"]);
  assert.deepEqual(world.went, ["a", "b"]);
});

test("C20: the answer is found also where the number was written in another way", () => {
  const world = new World().online().post(waiting("a", "00919800000002")).receive(sent("a"));
  assert.deepEqual(world.settled, [["a", "sent"]]);
});

test("C21: without an answer it goes again after a reconnect, unchanged, the oldest first", () => {
  const world = new World().online().post(waiting("a"), waiting("b"), waiting("c", CARL)).close(1006).forget().reconnect();
  assert.deepEqual(world.frames, [
    { type: "chat", to: BELA, messageId: "a", message: "text of a" },
    { type: "chat", to: CARL, messageId: "c", message: "text of c" },
  ]);
});

test("C21: and after resync", () => {
  const world = new World().online().post(waiting("a")).receive({ type: "resync", epoch: "e2", reason: "" });
  assert.deepEqual(world.went, ["a", "a"]);
});

test("C21: and after another epoch, once", () => {
  const world = new World().online().post(waiting("a")).close(1006).forget().reconnect({ epoch: "e2" });
  assert.deepEqual(world.went, ["a"]);
});

test("C22: a retryable refusal holds its recipient, others go on, and the order stays", () => {
  const world = new World().online().post(waiting("a"), waiting("b"), waiting("c", CARL));
  world.receive(no("a", { retryAfter: 3 }), sent("c", CARL)).post(waiting("d", CARL));
  assert.deepEqual(world.went, ["a", "c", "d"]);
  assert.deepEqual(world.pass(2_999).went, ["a", "c", "d"]);
  assert.deepEqual(world.pass(1).went, ["a", "c", "d", "a"]);
  assert.deepEqual(world.receive(sent("a")).went, ["a", "c", "d", "a", "b"]);
});

test("C22: without retryAfter for 1 s, twice as long each time, up to 60 s, and jitter only makes it longer", () => {
  const world = new World().online().post(waiting("a"));
  const waits = [];
  for (let n = 0; n < 8; n += 1) {
    world.receive(no("a"));
    const before = world.now;
    for (let at = 0; at < 300 && world.went.length < n + 2; at += 1) world.live(250);
    waits.push((world.now - before) / 1_000);
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
  world.random = 0.999;
  world.receive(no("a", { retryAfter: 1 })).live(60_000);
  assert.equal(world.went.length, 9);
  assert.equal(world.live(15_000).went.length, 10);
});

test("C22: never shorter than retryAfter, and after an answer it begins anew", () => {
  const world = new World().online().post(waiting("a"), waiting("b"));
  world.receive(no("a", { retryAfter: 90 })).live(89_999);
  assert.deepEqual(world.went, ["a"]);
  world.pass(1).receive(no("a")).live(2_000).receive(sent("a")).receive(no("b")).forget();
  assert.deepEqual(world.pass(1_000).went, ["b"]);
});

test("C22: the hold lasts over a reconnect", () => {
  const world = new World().online().post(waiting("a")).receive(no("a", { retryAfter: 60 })).close(1006).forget().reconnect();
  assert.deepEqual(world.live(59_000).went, []);
  assert.deepEqual(world.pass(1_000).went, ["a"]);
});

test("C23: a final refusal fails it, and the next one goes on", () => {
  const world = new World().online().post(waiting("a"), waiting("b"));
  world.receive(refusal("no_such_person", { messageId: "a", to: BELA }));
  assert.deepEqual(world.settled, [["a", "no_such_person"]]);
  assert.deepEqual(world.heard("failed").map(({ id, error }) => [id, error.code]), [["a", "no_such_person"]]);
  assert.deepEqual(world.went, ["a", "b"]);
});

test("C23: a refusal of what has its answer already changes nothing", () => {
  const world = new World().online().post(waiting("a")).receive(sent("a")).forget();
  world.receive(refusal("bad_mobile", { messageId: "a", to: BELA }));
  assert.deepEqual([world.settled, world.events], [[], []]);
});

test("C23: a number that comes back as messageId is found", () => {
  const world = new World().online().post(waiting("7")).receive(refusal("bad_mobile", { messageId: 7, to: BELA }));
  assert.deepEqual(world.settled, [["7", "bad_mobile"]]);
});

test("C25: a retryable refusal that names nothing pauses all sending", () => {
  const world = new World().online().post(waiting("a"), waiting("c", CARL)).forget();
  world.receive(refusal("unavailable", { retryable: true, retryAfter: 2 })).post(waiting("d", "919800000009"));
  assert.deepEqual(world.pass(1_999).went, []);
  assert.deepEqual(world.pass(1).went, ["a", "c", "d"]);
});

test("C25: a final one: what is on the way goes again one at a time, and the one refused then has failed", () => {
  const world = new World().online().post(waiting("a"), waiting("c", CARL), waiting("d", "919800000009")).forget();
  world.receive(refusal("bad_json", { component: "frame" })).post(waiting("e", "919800000010"));
  assert.deepEqual(world.went, [], "answers to the others may be on their way");
  world.receive(sent("a"), refusal("bad_json", { component: "frame" })).pass(2_000);
  assert.deepEqual(world.went, ["c"]);
  world.receive(refusal("bad_json", { component: "frame" }));
  assert.deepEqual(world.settled, [["a", "sent"], ["c", "bad_json"]]);
  assert.deepEqual(world.went, ["c", "d"]);
  assert.deepEqual(world.receive(sent("d", "919800000009")).went, ["c", "d", "e"]);
});

test("C25: one that was not alone when it was refused goes again first", () => {
  const world = new World().online().post(waiting("a")).receive(refusal("bad_json", { component: "frame" }));
  world.pass(1_000).receive(refusal("bad_json", { component: "frame" })).pass(1_000); // the second one changes nothing
  assert.deepEqual([world.settled, world.went], [[], ["a", "a"]]);
  world.receive(refusal("bad_json", { component: "frame" }));
  assert.deepEqual(world.settled, [["a", "bad_json"]]);
});

test("C25: it does not wait when everything on the way has its answer", () => {
  const world = new World().online().post(waiting("a"), waiting("b")).receive(refusal("bad_json", { component: "frame" }), sent("a"));
  assert.deepEqual(world.went, ["a", "b"]);
});

test("C25: a refusal of another frame, or with nothing on the way, is a notice", () => {
  const world = new World().online().receive(refusal("bad_frame", { component: "frame" }));
  world.post(waiting("a")).receive(refusal("unavailable", { component: "ack", retryable: true, streamIds: ["1-0"] }));
  assert.deepEqual(world.heard("notice").map(({ code }) => code), ["bad_frame", "unavailable"]);
  assert.deepEqual(world.went, ["a"]);
});

test("C26: without an answer in 10 s the connection is given up", () => {
  const world = new World().online().post(waiting("a")).pass(5_000).post(waiting("c", CARL)).receive(sent("c", CARL)).pass(4_999);
  assert.equal(world.state, "online");
  world.random = 0.5;
  world.pass(1);
  assert.deepEqual([world.state, world.did("close").length], ["pausing", 1]);
  assert.deepEqual(world.forget().reconnect().went, ["a"]);
});

test("C26: after five connections it has failed, and the next one goes on", () => {
  const world = new World().online().post(waiting("a"), waiting("b"));
  for (let n = 0; n < 5; n += 1) {
    assert.deepEqual(world.settled, []);
    world.pass(10_000).reconnect();
  }
  assert.deepEqual(world.settled, [["a", "no_answer"]]);
  assert.deepEqual(world.went, ["a", "a", "a", "a", "a", "b"]);
});

test("C26: ends that may be its fault count, others do not", () => {
  for (const [code, counts] of [[1002, true], [1007, true], [1009, true], [4503, true], [1006, false], [4012, false], [1011, false]]) {
    const world = new World().online().post(waiting("a"));
    for (let n = 0; n < 5; n += 1) {
      world.close(code);
      if (world.state === "stopped") world.do((core) => core.connectNow());
      world.reconnect();
    }
    assert.deepEqual(world.settled, counts ? [["a", "no_answer"]] : [], String(code));
  }
});

test("C26: after the second end it goes alone", () => {
  const world = new World().online().post(waiting("a"), waiting("c", CARL));
  world.close(1009).reconnect().close(1009).forget().reconnect();
  assert.deepEqual(world.went, ["a"]);
  world.post(waiting("d", "919800000009"));
  assert.deepEqual(world.receive(sent("a")).went, ["a", "c"]);
  assert.deepEqual(world.receive(sent("c", CARL)).went, ["a", "c", "d"]);
});
