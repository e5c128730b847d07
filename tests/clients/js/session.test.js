// C1–C8: which session is used, when it is refreshed, and when it is over.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";

import { Api } from "../../../clients/js/src/api.js";
import { ApiError } from "../../../clients/js/src/errors.js";
import { SessionEnded, Sessions } from "../../../clients/js/src/session.js";
import { MemoryStore } from "../../../clients/js/src/memory-store.js";

const HOUR = 3_600_000;

/** A clock that stands still until a test moves it. `wall` may be wrong. */
class Clock {
  constructor() {
    this.at = 5_000_000;
    this.wallAt = Date.parse("2026-01-01T00:00:00Z");
    this.timers = new Set();
  }
  now = () => this.at;
  wall = () => this.wallAt;
  random = () => 0;
  later = (run, ms) => {
    const timer = { at: this.at + ms, run };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  };
  async pass(ms) {
    await settled();
    this.at += ms;
    this.wallAt += ms;
    for (const timer of [...this.timers]) {
      if (timer.at > this.at) continue;
      this.timers.delete(timer);
      timer.run();
    }
    await settled();
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A session whose token lives from the clock's start for so long. */
function session(n, clock, life = 24 * HOUR) {
  const issued = clock.wallAt;
  const claims = Buffer.from(JSON.stringify({ iat: issued / 1000 })).toString("base64url");
  return {
    url: "http://x/", mobileNo: "919800000001", id: "1", name: "Asha", deviceId: "primary",
    token: `head${n}.${claims}.sign`, expiresAt: new Date(issued + life).toISOString(),
    refreshToken: `wmr_${n}`, refreshExpiresAt: "2027-01-01T00:00:00Z",
  };
}

const json = (status, body) => new Response(JSON.stringify(body), { status });
const no = (status, code, more = {}) => json(status, { success: false, message: "No.", code, ...more });

/** `answers` are given to requests in their order: a response, or "silence". The last one goes on. */
function made({ answers = [], stored = true, store = new MemoryStore() } = {}) {
  const clock = new Clock();
  const asked = [];
  const ended = [];
  const fetch = async (url, { body, headers }) => {
    asked.push({ path: new URL(url).pathname, token: headers.Authorization?.slice(7), refreshToken: body && JSON.parse(body).refreshToken });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    const given = typeof answer === "function" ? await answer(clock) : answer;
    if (given === "silence") throw new TypeError("fetch failed: http://x/?ticket=secret");
    return given.clone();
  };
  const api = new Api("http://x/", { fetch });
  const sessions = new Sessions({ api, store, clock, onEnd: (error, code) => ended.push(code) });
  if (stored) store.saveSession(session(1, clock));
  return { clock, asked, ended, api, sessions, store, answers };
}

const me = (made_) => made_.sessions.withToken((token) => made_.api.ask("GET", "v1/me", { token }));
const fresh = (n, life) => (clock) => json(200, session(n, clock, life));
const code = (expected) => (error) => error instanceof ApiError && error.code === expected;

test("C7: no redirection takes a token or a password to another address", async () => {
  const asked = [];
  const other = createServer((request, answer) => (asked.push(request.url), answer.end("{}"))).listen(0, "127.0.0.1");
  const Location = () => `http://127.0.0.1:${other.address().port}/stolen`;
  const first = createServer((_, answer) => answer.writeHead(307, { Location: Location() }).end()).listen(0, "127.0.0.1");
  await Promise.all([other, first].map((server) => once(server, "listening")));
  const api = new Api(`http://127.0.0.1:${first.address().port}/`);
  await assert.rejects(api.refresh("secret", 3_000), code("unreachable"));
  await assert.rejects(api.logIn({ mobileNo: "919800000001", password: "secret" }), code("unreachable"));
  assert.deepEqual(asked, []);
  for (const server of [other, first]) server.close();
});

test("what a refusal says may be anything", async () => {
  const body = { code: { toString: 1 }, message: [{ toString: 1 }], errors: 5, devices: "x", retryAfter: "x" };
  const api = new Api("http://x/", { fetch: async () => json(429, body) });
  await assert.rejects(api.health(), (error) => {
    const { code, message, errors, devices, retryAfter } = error;
    assert.deepEqual([code, message, errors, devices, retryAfter], ["bad_answer", "The server answered with 429.", undefined, undefined, undefined]);
    return true;
  });
});

test("C1: a stored session is used", async () => {
  const world = made({ answers: [json(200, { name: "Asha" })] });
  await me(world);
  assert.deepEqual(world.asked.map(({ path, token }) => [path, token]), [["/v1/me", session(1, world.clock).token]]);
  await assert.rejects(me(made({ stored: false })), code("token_missing"));
});

test("C2: token_expired is answered by a refresh, and the request is sent again, once", async () => {
  const world = made({ answers: [no(401, "token_expired"), fresh(2), json(200, { name: "Asha" })] });
  assert.deepEqual(await me(world), { name: "Asha" });
  assert.deepEqual(world.asked.map(({ path }) => path), ["/v1/me", "/auth/refresh", "/v1/me"]);
  const stubborn = made({ answers: [no(401, "token_expired"), fresh(2), no(401, "token_expired")] });
  await assert.rejects(me(stubborn), code("token_expired"));
  assert.equal(stubborn.asked.length, 3);
});

for (const [life, early] of [[24 * HOUR, 5 * 60_000], [10 * 60_000, 60_000]]) {
  test(`C2: of a token that lives ${life / 60_000} minutes, ${early / 60_000} remain when it is refreshed`, async () => {
    const world = made({ answers: [fresh(3)], stored: false });
    await world.sessions.adopt(session(2, world.clock, life));
    world.sessions.run(true);
    await world.clock.pass(life - early - 1);
    assert.equal(world.asked.length, 0);
    await world.clock.pass(1);
    assert.deepEqual(world.asked.map(({ refreshToken }) => refreshToken), ["wmr_2"]);
    assert.equal((await world.store.load()).session.refreshToken, "wmr_3");
  });
}

test("C3: one refresh at a time, and all who wait use it", async () => {
  const world = made({ answers: [no(401, "token_expired"), no(401, "token_expired"), fresh(2), json(200, {})] });
  await Promise.all([me(world), me(world)]);
  assert.equal(world.asked.filter(({ path }) => path === "/auth/refresh").length, 1);
});

test("C3: inside the lock the session is read again: another one's refresh is used", async () => {
  const world = made({ answers: [no(401, "token_expired"), json(200, {})] });
  await world.sessions.get();
  await world.store.saveSession(session(7, world.clock));
  await me(world);
  assert.deepEqual(world.asked.map(({ path, token }) => [path, token]), [
    ["/v1/me", session(1, world.clock).token], ["/v1/me", session(7, world.clock).token],
  ]);
});

test("C8: another one's refresh is not old because the wall clock is wrong", async () => {
  const world = made({ answers: [no(401, "token_expired"), json(200, {}), fresh(9)], stored: false });
  await world.sessions.adopt(session(1, world.clock));
  const taken = session(7, world.clock);
  world.clock.wallAt += 48 * HOUR;
  await world.store.saveSession(taken);
  world.sessions.run(true);
  await me(world);
  await world.clock.pass(23 * HOUR);
  assert.deepEqual(world.asked.map(({ path }) => path), ["/v1/me", "/v1/me"]);
  await world.clock.pass(HOUR);
  assert.equal(world.asked.at(-1).refreshToken, "wmr_7");
});

test("C3: a session that another one ended is over", async () => {
  const world = made({ answers: [no(401, "token_expired")] });
  await world.sessions.get();
  await world.store.saveSession(null);
  await assert.rejects(me(world), SessionEnded);
  assert.deepEqual([world.asked.length, world.ended], [1, ["session_revoked"]]);
});

test("C4: the new tokens are kept before they are used", async () => {
  const store = new MemoryStore();
  const save = store.saveSession.bind(store);
  const world = made({ store, answers: [no(401, "token_expired"), fresh(2), json(200, {})] });
  await world.sessions.get();
  store.saveSession = async (one) => {
    await settled();
    assert.equal(world.asked.length, 2, "nothing was asked with them yet");
    assert.equal(world.sessions.current.refreshToken, "wmr_1");
    await save(one);
  };
  await me(world);
  assert.equal((await store.load()).session.refreshToken, "wmr_2");
});

test("C4: without an answer the same is asked again at once, and once more after 2 s", async () => {
  const world = made({ answers: ["silence"] });
  await world.sessions.get();
  const result = world.sessions.refresh(session(1, world.clock).token);
  result.catch(() => undefined);
  await settled();
  await settled();
  assert.deepEqual(world.asked.map(({ refreshToken }) => refreshToken), ["wmr_1", "wmr_1"]);
  await world.clock.pass(1_999);
  assert.equal(world.asked.length, 2);
  world.answers.unshift(fresh(2));
  await world.clock.pass(1);
  assert.equal((await result).refreshToken, "wmr_2");
  assert.deepEqual(world.asked.map(({ refreshToken }) => refreshToken), ["wmr_1", "wmr_1", "wmr_1"]);
});

test("C4: then it is tried later, with the same token", async () => {
  const world = made({ answers: ["silence"] });
  await world.sessions.get();
  world.sessions.run(true);
  await world.clock.pass(24 * HOUR);
  await world.clock.pass(2_000);
  assert.equal(world.asked.length, 3);
  await world.clock.pass(29_999);
  assert.equal(world.asked.length, 3);
  world.answers.unshift(fresh(2));
  await world.clock.pass(1);
  assert.deepEqual(new Set(world.asked.map(({ refreshToken }) => refreshToken)), new Set(["wmr_1"]));
  assert.equal(world.sessions.current.refreshToken, "wmr_2");
});

for (const refusal of ["refresh_invalid", "refresh_reused", "session_revoked", "token_invalid", "token_expired"]) {
  test(`C5: ${refusal} as the answer to a refresh ends the session`, async () => {
    const world = made({ answers: [no(401, "token_expired"), no(401, refusal)] });
    await world.store.add({ id: "a", peer: "9", mine: true, text: "x", timestamp: 1, state: "waiting" });
    await assert.rejects(me(world), (error) => error instanceof SessionEnded && error.code === refusal);
    const { session: kept, waiting } = await world.store.load();
    assert.deepEqual([kept, waiting.length, world.ended], [null, 1, [refusal]]);
  });
}

for (const refusal of ["session_revoked", "token_invalid"]) {
  test(`C5: ${refusal} as the answer to any request ends the session, unless there is a newer one`, async () => {
    const world = made({ answers: [no(401, refusal)] });
    await assert.rejects(me(world), SessionEnded);
    assert.deepEqual([(await world.store.load()).session, world.ended], [null, [refusal]]);
    const other = made({ answers: [no(401, refusal), json(200, {})] });
    await other.sessions.get();
    await other.store.saveSession(session(7, other.clock));
    await me(other);
    assert.deepEqual(other.ended, []);
  });
}

for (const [status, refusal] of [[429, "rate_limited"], [503, "unavailable"], [409, "too_many_devices"], [500, "internal"], [502, "bad_answer"]]) {
  test(`C6: ${status} leaves the session as it is`, async () => {
    const answer = refusal === "bad_answer" ? new Response("<html>", { status }) : no(status, refusal);
    const world = made({ answers: [no(401, "token_expired"), answer] });
    await assert.rejects(me(world), (error) => code(refusal)(error) && !(error instanceof SessionEnded));
    assert.equal((await world.store.load()).session.refreshToken, "wmr_1");
    assert.deepEqual(world.ended, []);
  });
}

for (const body of ["<html>log in to the network</html>", '"ok"', "{}"]) {
  test(`C6: ${body} with status 200 is no answer of the server's, and ends nothing`, async () => {
    const world = made({ answers: [no(401, "token_expired"), new Response(body)] });
    const result = me(world);
    result.catch(() => undefined);
    await world.clock.pass(0);
    await world.clock.pass(2_000);
    await assert.rejects(result, code("unreachable"));
    assert.equal((await world.store.load()).session.refreshToken, "wmr_1");
  });
}

test("C6: a refresh in time obeys retryAfter", async () => {
  const world = made({ answers: [no(429, "rate_limited", { retryAfter: 90 })] });
  await world.sessions.get();
  world.sessions.run(true);
  await world.clock.pass(24 * HOUR);
  await world.clock.pass(89_999);
  assert.equal(world.asked.length, 1);
  await world.clock.pass(1);
  assert.equal(world.asked.length, 2);
});

test("C7: an error says nothing of an address, a token or a password", async () => {
  const world = made({ answers: ["silence"] });
  await assert.rejects(me(world), (error) => code("unreachable")(error) && error.status === 0 && error.cause === undefined && !/http|secret/.test(error.stack.split("\n")[0]));
});

for (const wrong of [-100_000_000_000, 100_000_000_000]) {
  test(`C8: a wall clock that is wrong by ${wrong} ms changes nothing about a new token`, async () => {
    const world = made({ answers: [fresh(3)], stored: false });
    const given = session(2, world.clock);
    world.clock.wallAt += wrong;
    await world.sessions.adopt(given);
    world.sessions.run(true);
    await world.clock.pass(24 * HOUR - 5 * 60_000 - 1);
    assert.equal(world.asked.length, 0);
    world.clock.wallAt -= 2 * wrong;
    await world.clock.pass(1);
    assert.equal(world.asked.length, 1);
  });
}

test("C8: a stored session and a wall clock far ahead: one refresh, no flood", async () => {
  const world = made({ answers: [fresh(2)] });
  world.clock.wallAt += 10 ** 10;
  world.answers[0] = json(200, session(2, { wallAt: Date.parse("2026-01-01T00:00:00Z") }));
  await world.sessions.get();
  world.sessions.run(true);
  for (let n = 0; n < 20; n += 1) await world.clock.pass(60_000);
  assert.equal(world.asked.length, 1);
});

test("C8: a server whose tokens end at once is not asked all the time", async () => {
  let n = 1;
  const world = made({ answers: [(clock) => json(200, session((n += 1), clock, 1))] });
  await world.sessions.get();
  world.sessions.run(true);
  await world.clock.pass(24 * HOUR);
  for (let ms = 0; ms < 3_000; ms += 1) await world.clock.pass(1);
  assert.ok(world.asked.length > 2 && world.asked.length <= 8, String(world.asked.length));
});

test("a stopped client refreshes nothing by itself", async () => {
  const world = made({ answers: [fresh(2)] });
  await world.sessions.get();
  world.sessions.run(true);
  world.sessions.run(false);
  await world.clock.pass(48 * HOUR);
  assert.deepEqual([world.asked.length, world.clock.timers.size], [0, 0]);
});
