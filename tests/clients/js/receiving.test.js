// C27–C35: what is handed over, kept, acknowledged and told, in which order.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BELA, ME, World, chat, receipt, sent, waiting } from "./support.js";

const own = (n) => ({ type: "own", to: BELA, messageId: `o${n}`, message: "mine", timestamp: n, streamId: `${n}-0` });
const ownRead = (n) => ({ type: "ownRead", from: BELA, messageIds: ["c1"], timestamp: n, streamId: `${n}-0` });

test("C27: handler, then store, then acknowledgement, then event", () => {
  const world = new World({ taker: "handler", keeps: false }).online().forget();
  world.receive(chat(1));
  assert.deepEqual([world.hands.length, world.applies, world.frames], [1, [], []]);
  world.returns();
  assert.deepEqual([world.applies.length, world.frames, world.events], [1, [], []]);
  const order = world.effects.length;
  world.do((core, now) => core.applied(now, world.applies[0].token, [{ kind: "chat", peer: BELA, ids: ["c1"], message: world.hands[0].message }]));
  const after = world.effects.slice(order).map((one) => one.name ?? one.frames?.[0].type);
  assert.deepEqual(after, ["ack", "message"]);
});

test("C27: without a handler it is kept, acknowledged and told", () => {
  const world = new World().online().receive(chat(1));
  const [message] = world.heard("message");
  assert.deepEqual(message, { id: "c1", peer: BELA, mine: false, text: "text 1", timestamp: 1, streamId: "1-0", state: "new" });
});

test("C27: while nobody takes chats, they stay at the server; then they are taken", () => {
  const world = new World({ taker: "nobody" }).online().receive(chat(1), chat(2)).receive(receipt(["x"]));
  assert.deepEqual([world.acks, world.heard("message")], [[["90-0"]], []]);
  world.do((core) => core.incoming.setTaker("store"));
  assert.deepEqual(world.acks, [["90-0"], ["1-0", "2-0"]]);
  assert.equal(world.heard("message").length, 2);
});

test("C27: what sends from within a handler gets its answer", () => {
  const world = new World({ taker: "handler" }).online().receive(chat(1), chat(2)).post(waiting("a")).receive(sent("a"));
  assert.deepEqual(world.settled, [["a", "sent"]]);
  assert.equal(world.hands.length, 1);
});

test("C28: a handler that fails stops the client, and nothing is acknowledged", () => {
  const world = new World({ taker: "handler" }).online().receive(chat(1), chat(2), chat(3)).returns();
  const cause = new Error("mine");
  world.returns({ failed: cause }).pass(1_000);
  assert.equal(world.core.state.code, "handler_failed");
  assert.equal(world.core.state.cause, cause);
  assert.equal(world.hands.length, 2, "what came behind it is not handed over");
  assert.deepEqual(world.acks, []);
  world.do((core) => core.connectNow()).reconnect().receive(chat(2), chat(3));
  assert.deepEqual(world.hands.map(({ message }) => message.id), ["c1", "c2", "c2"], "it comes again");
});

test("C29: everything is acknowledged each time it comes", () => {
  const world = new World().online();
  for (const frame of [chat(1), receipt(["x"], "read", 2), own(3), ownRead(4)]) world.receive(frame).receive(frame);
  assert.deepEqual(world.acks, [["1-0"], ["1-0"], ["2-0"], ["2-0"], ["3-0"], ["3-0"], ["4-0"], ["4-0"]]);
});

test("C29: what is in the handler's hands is neither acknowledged nor handed over twice", () => {
  const world = new World({ taker: "handler" }).online().receive(chat(1)).receive(chat(1), chat(2)).receive(chat(2));
  assert.deepEqual([world.hands.length, world.acks], [1, []]);
  world.close(1006).reconnect().receive(chat(1), chat(2));
  assert.equal(world.hands.length, 1);
  world.returns().returns().pass(50);
  assert.deepEqual(world.hands.map(({ message }) => message.id), ["c1", "c2"]);
  assert.deepEqual(world.acks.flat(), ["1-0", "2-0"]);
});

test("C29: under another streamId it is acknowledged under both", () => {
  const world = new World({ taker: "handler" }).online().receive(chat(1)).receive(chat(1, { streamId: "9-0" })).returns();
  assert.deepEqual(world.acks, [["1-0", "9-0"]]);
});

test("C29: what was kept while the connection was gone is acknowledged first on the next", () => {
  const world = new World({ taker: "handler" }).online().receive(chat(1)).close(1006).returns();
  assert.equal(world.heard("message").length, 1, "and told at once");
  world.forget().post(waiting("a")).reconnect();
  assert.deepEqual(world.frames.map(({ type }) => type), ["ack", "chat"]);
  assert.deepEqual(world.acks, [["1-0"]]);
});

test("C31: an array is applied as a whole, chats by streamId", () => {
  const world = new World().online().receive(chat(10), chat(9), receipt(["x"]), chat(2, { streamId: "2-11" }), chat(3, { streamId: "2-9" }));
  assert.equal(world.applies.length, 1);
  assert.deepEqual(world.applies[0].changes.map(({ kind, message }) => message?.id ?? kind), ["c3", "c2", "c9", "c10", "receipt"]);
});

test("C31: a lower streamId than one before is handed over all the same", () => {
  const world = new World().online().receive(chat(5)).receive(chat(3));
  assert.deepEqual(world.heard("message").map(({ id }) => id), ["c5", "c3"]);
});

test("C32: what came together is acknowledged together, at most 1,000 in a frame", () => {
  const world = new World().online().receive(...Array.from({ length: 2_500 }, (_, n) => chat(n + 1)));
  assert.deepEqual(world.acks.map(({ length }) => length), [1_000, 1_000, 500]);
});

test("C32: with a quick handler, too", () => {
  const world = new World({ taker: "handler" }).online().receive(chat(1), chat(2), receipt(["x"], "read", 3)).returns().returns();
  assert.deepEqual(world.acks, [["3-0", "1-0", "2-0"]]);
});

test("C32: what is kept does not wait for a slow handler", () => {
  const world = new World({ taker: "handler" }).online().receive(chat(1), chat(2), chat(3)).returns().returns().pass(49);
  assert.deepEqual(world.acks, []);
  assert.deepEqual(world.pass(1).acks, [["1-0", "2-0"]]);
});

test("C34: read is sent when the program says so, at most 100 in a frame", () => {
  const world = new World().online().receive(chat(1)).forget();
  world.do((core, now) => core.incoming.read(now, BELA, Array.from({ length: 250 }, (_, n) => `c${n}`)));
  assert.deepEqual(world.frames.map(({ ackType, to, messageIds }) => [ackType, to, messageIds.length]), [["read", BELA, 100], ["read", BELA, 100], ["read", BELA, 50]]);
});

test("C34: while not online it waits for hello", () => {
  const world = new World({ kept: { reads: [{ peer: BELA, ids: ["c1"] }] } }).start();
  world.do((core, now) => core.incoming.read(now, BELA, ["c2"])).ticket().hello();
  assert.deepEqual(world.frames, [{ type: "ack", ackType: "read", to: BELA, messageIds: ["c1", "c2"] }]);
});

test("C34: what may not have come through is sent again; what has is told to the store", () => {
  const world = new World().online().do((core, now) => core.incoming.read(now, BELA, ["c1"])).pass(9_999).close(1006).forget().reconnect();
  assert.deepEqual(world.frames.map(({ messageIds }) => messageIds), [["c1"]]);
  assert.deepEqual(world.applies, []);
  assert.deepEqual(world.pass(10_000).applies[0].changes, [{ kind: "told", peer: BELA, ids: ["c1"] }]);
  assert.deepEqual(world.close(1006).forget().reconnect().frames, []);
});

test("C34: a retryable refusal names only some of the reads: all are sent again", () => {
  const world = new World().online().do((core, now) => core.incoming.read(now, BELA, ["c1", "c2"])).forget();
  world.receive({ type: "error", component: "ack", code: "unavailable", message: "", retryable: true, retryAfter: 3, messageIds: ["c1"] });
  world.do((core, now) => core.incoming.read(now, BELA, ["c3"])).pass(2_999);
  assert.deepEqual(world.frames, []);
  assert.deepEqual(world.pass(1).frames.map(({ messageIds }) => messageIds), [["c1", "c2", "c3"]]);
});

test("C34: a final refusal of a read is not tried again", () => {
  const world = new World().online().do((core, now) => core.incoming.read(now, BELA, ["c1"])).forget();
  world.receive({ type: "error", component: "ack", code: "bad_frame", message: "", retryable: false }).pass(10_000);
  assert.deepEqual(world.frames, []);
  assert.deepEqual(world.applies[0].changes, [{ kind: "told", peer: BELA, ids: ["c1"] }]);
});

test("C35: resync forgets streamIds, and says so", () => {
  const world = new World({ taker: "handler" }).online().receive(chat(1)).receive({ type: "resync", epoch: "e2", reason: "gone" });
  assert.deepEqual(world.did("saveEpoch"), [{ do: "saveEpoch", epoch: "e2" }]);
  assert.deepEqual(world.heard("resync"), [{ reason: "gone" }]);
  world.returns();
  assert.deepEqual(world.acks, [], "the old streamId means nothing any more");
  assert.equal(world.applies[0].changes[0].message.streamId, undefined);
});

test("C35: the same chat under its new streamId is not handed over twice, and acknowledged by it", () => {
  const world = new World({ taker: "handler" }).online().receive(chat(1)).receive({ type: "resync", epoch: "e2", reason: "" });
  world.receive(chat(1, { streamId: "100-0" })).returns();
  assert.deepEqual([world.hands.length, world.acks], [1, [["100-0"]]]);
});

test("C35: another epoch in hello does the same; the same one and the first one do not", () => {
  const world = new World().online();
  assert.deepEqual([world.did("saveEpoch"), world.heard("resync")], [[], []]);
  world.close(1006).reconnect({ epoch: "e2" });
  assert.deepEqual([world.did("saveEpoch").length, world.heard("resync").length], [1, 1]);
  const fresh = new World({ kept: { epoch: null } }).online();
  assert.deepEqual([fresh.did("saveEpoch").length, fresh.heard("resync").length], [1, 0]);
});

test("own and ownRead are told", () => {
  const world = new World().online().receive(own(1), ownRead(2));
  assert.deepEqual(world.heard("own").map(({ id, peer, mine, state }) => [id, peer, mine, state]), [["o1", BELA, true, "sent"]]);
  assert.deepEqual(world.heard("ownRead"), [{ peer: BELA, ids: ["c1"] }]);
});

test("a message that a handler gives back is handed over to the next one that takes it", () => {
  const world = new World({ taker: "handler" }).online().receive(chat(1));
  world.do((core) => core.incoming.setTaker("nobody")).do((core) => core.incoming.givenBack(world.hands[0].token));
  assert.deepEqual([world.hands.length, world.acks], [1, []]);
  world.do((core) => core.incoming.setTaker("handler")).returns();
  assert.deepEqual([world.hands.length, world.acks], [2, [["1-0"]]]);
});

test("a store that fails stops the client, and nothing is acknowledged", () => {
  const world = new World({ keeps: false }).online().receive(chat(1)).do((core) => core.storeFailed(new Error("full")));
  assert.deepEqual([world.core.state.code, world.acks], ["store_failed", []]);
});
