// The login session: which one there is, when it is refreshed, and when it is over (C1–C8).

import { ApiError, StoreMismatch } from "./errors.js";
import { digits } from "./messages.js";

/** @import { Api } from "./api.js" */
/** @import { Clock, Session, Store } from "./types.js" */

const REFRESH_MS = 3_000; // three tries fit into the 10 s in which the server gives the same answer again
const SECOND_TRY_MS = 2_000;
const TRY_LATER_MS = 30_000;
const BETWEEN_MS = 500;
const EARLIEST_MS = 5 * 60_000;
const ENDS = new Set(["refresh_invalid", "refresh_reused", "session_revoked", "token_invalid"]);

/** The session is over, and removed from the store. */
export class SessionEnded extends ApiError {}

export class Sessions {
  /**
   * @param {object} how
   * @param {Api} how.api
   * @param {Store} how.store
   * @param {Clock} how.clock
   * @param {{mobileNo?: string, deviceId?: string}} [how.owner] Whose session it is to be.
   * @param {(error: SessionEnded | null, code: string) => void} how.onEnd Null if the person ended it.
   * @param {(error: unknown) => void} how.onError The store failed in a refresh that nobody waits for.
   */
  constructor({ api, store, clock, owner = {}, onEnd, onError }) {
    this.api = api;
    this.store = store;
    this.clock = clock;
    this.owner = owner;
    this.onEnd = onEnd;
    this.onError = onError;
    /** @type {Session | null} */
    this.current = null;
    this.refreshAt = Infinity;
    this.usedSince = 0;
    /** @type {Promise<Session> | null} */
    this.refreshing = null;
    this.running = false;
    this.cancel = () => {};
  }

  /** The stored one, if there is one (C1). @returns {Promise<Session | null>} @throws {StoreMismatch} */
  async get() {
    if (!this.current) {
      const { session } = await this.store.load();
      if (session) this.check(session);
      if (session) this.use(session, Date.parse(session.expiresAt) - this.clock.wall());
    }
    return this.current;
  }

  /** No token goes to another server, and nobody uses another's account unawares. @param {Session} session */
  check({ url, mobileNo, deviceId }) {
    const { owner } = this;
    // At home a number is written with a 0 in place of the country code.
    const number = digits(owner.mobileNo ?? "").replace(/^0+/, "");
    if (`${url}/` !== this.api.url && url !== this.api.url) throw mismatch("server", url, this.api.url);
    if (!mobileNo.endsWith(number)) throw mismatch("number", mobileNo, number);
    if (owner.deviceId && deviceId !== owner.deviceId) throw mismatch("device", deviceId, owner.deviceId);
  }

  /** When no refresh is on its way: the new tokens would be lost, and the old ones are worth nothing any more (C4). */
  async settled() {
    await this.refreshing?.catch(() => undefined); // those who asked for it hear of it
  }

  /** One that was just issued: kept before it is used (C4). @param {Session} session */
  async adopt(session) {
    await this.store.saveSession(session);
    this.use(session, lifetime(session));
  }

  /**
   * @param {Session} session
   * @param {number} left ms. Of a stored session a guess, since the wall clock may be wrong; of a new one what the
   *   server said (C8).
   */
  use(session, left) {
    const life = lifetime(session);
    const early = Math.min(life / 10, EARLIEST_MS);
    this.current = session;
    this.usedSince = this.clock.now();
    this.refreshAt = this.usedSince + Math.max(0, Math.min(left, life) - early);
    this.schedule();
  }

  /** While the client runs it refreshes by itself. @param {boolean} running */
  run(running) {
    this.running = running;
    this.schedule();
  }

  schedule() {
    this.cancel();
    this.cancel = () => {};
    if (!this.running || !this.current) return;
    this.cancel = this.clock.later(() => void this.refreshInTime(), this.refreshAt - this.clock.now());
  }

  async refreshInTime() {
    try {
      if (this.current) await this.refresh(this.current.token);
      // A server whose tokens end at once is not asked all the time.
      this.refreshAt = Math.max(this.refreshAt, this.clock.now() + BETWEEN_MS);
      this.schedule();
    } catch (error) {
      if (!(error instanceof ApiError)) return this.onError(error);
      const least = error.retryAfter === undefined ? TRY_LATER_MS : error.retryAfter * 1000;
      this.refreshAt = this.clock.now() + least + this.clock.random() * 1000;
      this.schedule();
    }
  }

  /**
   * Asks with the token. Where it is over it is refreshed, and the same is asked again, once (C2).
   * @template T
   * @param {(token: string) => Promise<T>} ask
   * @returns {Promise<T>}
   * @throws {ApiError}
   */
  async withToken(ask) {
    const session = await this.get();
    if (!session) throw new ApiError(401, "token_missing", "There is no session.");
    try {
      return await ask(session.token);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === "token_expired") return ask((await this.refresh(session.token)).token);
      if (ENDS.has(error.code)) return ask((await this.ended(session.token, error)).token);
      throw error;
    }
  }

  /** Refreshes, unless another one has done it meanwhile. @param {string} token The one that is over. */
  refresh(token) {
    this.refreshing ??= this.refreshAlone(token).finally(() => (this.refreshing = null));
    return this.refreshing;
  }

  /** C3. @param {string} token @returns {Promise<Session>} */
  async refreshAlone(token) {
    return this.store.locked(async () => {
      const { session } = await this.store.load();
      if (!session) throw this.gone(new ApiError(401, "session_revoked", "The session has ended."));
      if (session.token !== token) return this.takeOver(session);
      try {
        await this.adopt(await this.askForRefresh(session.refreshToken));
      } catch (error) {
        const isEnd = error instanceof ApiError && (ENDS.has(error.code) || error.code === "token_expired");
        if (!isEnd) throw error; // C6
        await this.store.saveSession(null);
        throw this.gone(error);
      }
      return /** @type {Session} */ (this.current);
    });
  }

  /** Without an answer the same is asked again: the server then gives the same tokens (C4). @param {string} refreshToken */
  async askForRefresh(refreshToken) {
    for (const wait of [0, SECOND_TRY_MS]) {
      try {
        return await this.api.refresh(refreshToken, REFRESH_MS);
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 0) throw error;
      }
      if (wait) await new Promise((resolve) => this.clock.later(() => resolve(undefined), wait));
    }
    return this.api.refresh(refreshToken, REFRESH_MS);
  }

  /** The server says so (C5), unless another one has a newer session. @param {string} token @param {ApiError} error */
  ended(token, error) {
    return this.store.locked(async () => {
      const { session } = await this.store.load();
      if (session && session.token !== token) return this.takeOver(session);
      await this.store.saveSession(null);
      throw this.gone(error);
    });
  }

  /**
   * Another tab has refreshed, or logged in: after the session that was used here until now was the newest one. So its
   * age has a bound that no wrong wall clock changes (C8).
   * @param {Session} session
   */
  takeOver(session) {
    const left = lifetime(session) - (this.clock.now() - this.usedSince);
    this.use(session, Math.max(left, Date.parse(session.expiresAt) - this.clock.wall()));
    return session;
  }

  /** @param {ApiError} error @returns {SessionEnded} */
  gone(error) {
    this.current = null;
    this.cancel();
    const ended = new SessionEnded(error.status, error.code, error.message);
    this.onEnd(ended, error.code);
    return ended;
  }

  /** The person ended it, or the server closed the socket for good. @param {string} code */
  async end(code) {
    const token = this.current?.token;
    this.current = null;
    this.cancel();
    await this.store.locked(async () => {
      const { session } = await this.store.load();
      if (session && session.token === token) await this.store.saveSession(null);
    });
    this.onEnd(null, code);
  }
}

/** @param {string} what @param {string} stored @param {string} given */
const mismatch = (what, stored, given) => new StoreMismatch(`The store is of another ${what}: ${stored}, not ${given}.`);

/** ms between the issue of a token and its end, both by the server's clock. @param {Session} session */
function lifetime({ token, expiresAt }) {
  const life = Date.parse(expiresAt) - issuedAt(token);
  return life > 0 ? life : Infinity;
}

/** When the server issued it, ms of the server's clock; NaN of a token of another kind. @param {string} token */
export function issuedAt(token) {
  try {
    const claims = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    return JSON.parse(atob(claims)).iat * 1000;
  } catch {
    return NaN; // the server will say when it is over
  }
}
