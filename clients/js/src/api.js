// Every route of HTTP as a method (docs/PROTOCOL.md, section 2).

import { ApiError, asText, isSeconds } from "./errors.js";

/** @import { Session } from "./types.js" */

const ANSWER_MS = 10_000;
/** A redirection would take passwords and tokens along, to whatever address it names. @type {RequestInit} */
const HOW = { credentials: "omit", redirect: "error" };
const SESSION = ["mobileNo", "id", "name", "deviceId", "token", "expiresAt", "refreshToken", "refreshExpiresAt"];

/**
 * @typedef {object} Request
 * @property {Record<string, unknown>} [body]
 * @property {Record<string, string | number | boolean | undefined>} [query]
 * @property {string} [token]
 * @property {number} [timeout] ms
 * @property {AbortSignal} [signal] Nobody waits for the answer any more.
 */

/**
 * Who knows the token, and what to do when it is refused.
 * @typedef {object} Bearer
 * @property {<T>(ask: (token: string) => Promise<T>) => Promise<T>} withToken
 * @property {(session: Session) => Promise<void>} adopt
 * @property {(code: string) => Promise<void>} end
 */

/**
 * The HTTP interface. With a client (`client.api`) it has a session, and refreshes it (C2). Without one only `signUp`,
 * `requestCode`, `resetPassword`, `logIn`, `health` and `ready` can be used.
 *
 * All methods reject with an `ApiError`.
 */
export class Api {
  /**
   * @param {string | URL} url Of the server, with the path prefix it may have.
   * @param {{fetch?: typeof globalThis.fetch, bearer?: Bearer}} [how]
   * @throws {TypeError} The URL is none, or not one of http or https.
   */
  constructor(url, { fetch = globalThis.fetch, bearer } = {}) {
    const base = new URL(url);
    if (!/^https?:$/.test(base.protocol)) throw new TypeError("The URL must begin with http:// or https://.");
    if (!base.pathname.endsWith("/")) base.pathname += "/";
    base.search = base.hash = "";
    this.url = base.href;
    /** @private @type {typeof globalThis.fetch} Browsers refuse to run theirs as a method of something else. */
    this.fetch = (...given) => fetch(...given);
    /** @private */
    this.bearer = bearer;
    /** Settles when no change of the number is on its way: until then the old session may be over already. @type {Promise<unknown>} */
    this.changing = Promise.resolve();
  }

  // ---- accounts

  /** @param {{name: string, mobileNo: string, password: string, code?: string}} who @returns {Promise<{id: string}>} */
  signUp(who) {
    return this.ask("POST", "auth/signin", { body: who });
  }

  /** Has a code sent to the number. @param {string} mobileNo @returns {Promise<{expiresIn: number}>} In seconds. */
  requestCode(mobileNo) {
    return this.ask("POST", "v1/codes", { body: { mobileNo } });
  }

  /** Ends all sessions. @param {{mobileNo: string, code: string, newPassword: string}} what @returns {Promise<void>} */
  resetPassword(what) {
    return this.ask("POST", "auth/reset", { body: what });
  }

  /**
   * Gives the session; nothing is kept.
   * @param {{mobileNo: string, password: string, deviceId?: string, deviceName?: string, replaceDeviceId?: string}} who
   * @param {AbortSignal} [signal]
   * @returns {Promise<Session>}
   */
  async logIn(who, signal) {
    return this.session(await this.ask("POST", "auth/login", { body: who, signal }));
  }

  /** @param {string} refreshToken @param {number} timeout ms @returns {Promise<Session>} */
  async refresh(refreshToken, timeout) {
    return this.session(await this.ask("POST", "auth/refresh", { body: { refreshToken }, timeout }));
  }

  /** Only what belongs to it. @private @param {any} answer @returns {Session} */
  session(answer) {
    const { mobileNo, id, name, deviceId, token, expiresAt, refreshToken, refreshExpiresAt } = check(answer, SESSION);
    return { url: this.url, mobileNo, id, name, deviceId, token, expiresAt, refreshToken, refreshExpiresAt };
  }

  /** @returns {Promise<Profile>} */
  me() {
    return this.askAs("GET", "v1/me");
  }

  /** @param {{name?: string, about?: string}} what @returns {Promise<Profile>} */
  updateMe(what) {
    return this.askAs("PATCH", "v1/me", { body: what });
  }

  /** The session goes on with another number and other tokens. @param {{mobileNo: string, password: string, code?: string}} to */
  changeNumber(to) {
    const changed = this.changeNumberAndAdopt(to);
    this.changing = changed.catch(() => {}); // the caller hears of it
    return changed;
  }

  /** @private @param {{mobileNo: string, password: string, code?: string}} to */
  async changeNumberAndAdopt(to) {
    const session = this.session(await this.askAs("POST", "v1/me/number", { body: to }));
    await this.bearer?.adopt(session);
    return session;
  }

  /** @param {string} password @returns {Promise<void>} */
  async deleteAccount(password) {
    await this.askAs("DELETE", "v1/me", { body: { password } });
    await this.bearer?.end("account_deleted");
  }

  /** Everything that the server holds about the person. @returns {Promise<Record<string, any>>} */
  exportAll() {
    return this.askAs("GET", "v1/export", { timeout: 60_000 });
  }

  // ---- devices, sessions, passwords

  /** @returns {Promise<{deviceId: string, deviceName: string, lastSeen: string, waiting: number, current: boolean}[]>} */
  devices() {
    return this.data("v1/devices");
  }

  /** @param {string} deviceId @returns {Promise<void>} */
  unlinkDevice(deviceId) {
    return this.askAs("DELETE", `v1/devices/${encodeURIComponent(deviceId)}`);
  }

  /** @returns {Promise<{id: string, deviceId: string, deviceName: string, createdAt: string, lastUsedAt: string, current: boolean}[]>} */
  sessions() {
    return this.data("v1/sessions");
  }

  /** @param {string} id @returns {Promise<void>} */
  endSession(id) {
    return this.askAs("DELETE", `v1/sessions/${encodeURIComponent(id)}`);
  }

  /**
   * The latest first. `before` is an event's `id`.
   * @param {{before?: string, limit?: number}} [which]
   * @returns {Promise<{id: string, kind: string, at: string, deviceId: string, sessionId?: string, reason?: string, times: number}[]>}
   */
  securityEvents(which = {}) {
    return this.data("v1/events", which);
  }

  /** @returns {Promise<void>} */
  async logOut() {
    await this.askAs("POST", "auth/logout");
    await this.bearer?.end("logged_out");
  }

  /** `all`: this session, too. @param {{all?: boolean}} [how] @returns {Promise<{ended: number}>} */
  async logOutEverywhere({ all = false } = {}) {
    const answer = await this.askAs("POST", "auth/logout-everywhere", { query: { all: all || undefined } });
    if (all) await this.bearer?.end("logged_out");
    return answer;
  }

  /** All other sessions end. @param {{currentPassword: string, newPassword: string}} what @returns {Promise<void>} */
  changePassword(what) {
    return this.askAs("POST", "auth/password", { body: what });
  }

  // ---- people

  /** @param {string} mobileNo @returns {Promise<void>} */
  block(mobileNo) {
    return this.askAs("POST", "block-action/block", { body: { blockedUserMobileNo: mobileNo } });
  }

  /** @param {string} mobileNo @returns {Promise<void>} */
  unblock(mobileNo) {
    return this.askAs("DELETE", "block-action/unblock", { query: { mobileNo } });
  }

  /** The latest last. @returns {Promise<{username: string, mobileNo: string}[]>} */
  blocked() {
    return this.data("block-action/list");
  }

  /** @param {string} mobileNo @returns {Promise<{username: string, mobileNo: string, lastSeen?: string}>} */
  lastSeen(mobileNo) {
    return this.data("profile/lastseen", { mobileNo });
  }

  /**
   * Those of up to 100 numbers that have an account.
   * @param {string[]} mobileNos
   * @returns {Promise<{data: {index: number, mobileNo: string, name: string, about?: string}[], errors?: {field: string, message: string}[]}>}
   */
  lookup(mobileNos) {
    return this.askAs("POST", "v1/people/lookup", { body: { mobileNos } });
  }

  /** @returns {Promise<Privacy>} */
  privacy() {
    return this.data("v1/privacy");
  }

  /** What is not named stays. @param {Partial<Privacy>} what @returns {Promise<Privacy>} */
  async setPrivacy(what) {
    return (await this.askAs("PUT", "v1/privacy", { body: what })).data;
  }

  // ---- the server

  /** What opens one socket. @param {AbortSignal} [signal] @returns {Promise<string>} */
  async ticket(signal) {
    return check(await this.askAs("POST", "v1/tickets", { signal }), ["ticket"]).ticket;
  }

  /** Whether this process serves. @returns {Promise<{status: string}>} */
  health() {
    return this.ask("GET", "health");
  }

  /** Whether it can do its work. @returns {Promise<{status: string, checks: Record<string, boolean>}>} */
  ready() {
    return this.ask("GET", "ready");
  }

  /** The interface for machines: OpenAPI. @returns {Promise<Record<string, any>>} */
  openapi() {
    return this.ask("GET", "openapi.json");
  }

  /** The same of the socket: AsyncAPI. @returns {Promise<Record<string, any>>} */
  asyncapi() {
    return this.ask("GET", "asyncapi.json");
  }

  // ---- how

  /** @private @param {string} path @param {Request["query"]} [query] @returns {Promise<any>} */
  async data(path, query) {
    return (await this.askAs("GET", path, { query })).data;
  }

  /** With a token. @private @param {string} method @param {string} path @param {Request} [what] @returns {Promise<any>} */
  async askAs(method, path, what) {
    if (!this.bearer) throw new ApiError(401, "token_missing", "There is no session.");
    return this.bearer.withToken((token) => this.ask(method, path, { ...what, token }));
  }

  /** @private @param {string} method @param {string} path @param {Request} [what] @returns {Promise<any>} The body. */
  async ask(method, path, { body, query = {}, token, timeout = ANSWER_MS, signal } = {}) {
    const url = new URL(path, this.url);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    /** @type {Record<string, string>} */
    const headers = body ? { "Content-Type": "application/json" } : {};
    if (token) headers.Authorization = `Bearer ${token}`;
    const end = new AbortController(); // `AbortSignal.any` is younger than some browsers
    const abort = () => end.abort();
    for (const other of [AbortSignal.timeout(timeout), signal]) other?.addEventListener("abort", abort, { signal: end.signal });
    if (signal?.aborted) abort();
    let answer, text;
    try {
      const sent = body && JSON.stringify(body);
      answer = await this.fetch(url, { method, headers, signal: end.signal, body: sent, ...HOW });
      text = await answer.text();
    } catch {
      // What fetch says may name the address, and helps nobody.
      throw new ApiError(0, "unreachable", "The server cannot be reached.");
    } finally {
      abort(); // nobody listens to the others any more
    }
    return read(answer, text);
  }
}

/** For an answer that says success and is none of the server: a page that wants a log-in to the network, say. */
const notTheServer = () => new ApiError(0, "unreachable", "Something else than the server answered.");

/** @param {any} answer @param {string[]} names Of fields that the server writes in any case. */
function check(answer, names) {
  if (!names.every((name) => typeof answer[name] === "string")) throw notTheServer();
  return answer;
}

/** @param {Response} answer @param {string} text */
function read(answer, text) {
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    body = null; // a proxy's page, perhaps
  }
  if (answer.ok && body !== null && typeof body === "object") return body;
  if (answer.ok) throw notTheServer();
  const { code, message, retryAfter, ...lists } = body ?? {};
  const errors = Array.isArray(lists.errors) ? lists.errors : undefined;
  const devices = Array.isArray(lists.devices) ? lists.devices : undefined;
  const seconds = [retryAfter, Number(answer.headers.get("Retry-After") ?? undefined)].find(isSeconds);
  const said = asText(message) || `The server answered with ${answer.status}.`;
  throw new ApiError(answer.status, asText(code) || "bad_answer", said, { errors, devices, retryAfter: seconds });
}

/**
 * @typedef {{id: string, name: string, about: string, mobileNo: string, deviceId: string, createdAt: string}} Profile
 * @typedef {"everyone" | "contacts" | "nobody"} Audience
 * @typedef {{lastSeen: Audience, online: Audience, readReceipts: "on" | "off", strangerReceipts: "on" | "off"}} Privacy
 */
