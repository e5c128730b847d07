/** When the server issued it, ms of the server's clock; NaN of a token of another kind. @param {string} token */
export function issuedAt(token: string): number;
/** The session is over, and removed from the store. */
export class SessionEnded extends ApiError {
}
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
    constructor({ api, store, clock, owner, onEnd, onError }: {
        api: Api;
        store: Store;
        clock: Clock;
        owner?: {
            mobileNo?: string;
            deviceId?: string;
        } | undefined;
        onEnd: (error: SessionEnded | null, code: string) => void;
        onError: (error: unknown) => void;
    });
    api: Api;
    store: Store;
    clock: Clock;
    owner: {
        mobileNo?: string;
        deviceId?: string;
    };
    onEnd: (error: SessionEnded | null, code: string) => void;
    onError: (error: unknown) => void;
    /** @type {Session | null} */
    current: Session | null;
    refreshAt: number;
    usedSince: number;
    /** @type {Promise<Session> | null} */
    refreshing: Promise<Session> | null;
    running: boolean;
    cancel: () => void;
    /** The stored one, if there is one (C1). @returns {Promise<Session | null>} @throws {StoreMismatch} */
    get(): Promise<Session | null>;
    /** No token goes to another server, and nobody uses another's account unawares. @param {Session} session */
    check({ url, mobileNo, deviceId }: Session): void;
    /** When no refresh is on its way: the new tokens would be lost, and the old ones are worth nothing any more (C4). */
    settled(): Promise<void>;
    /** One that was just issued: kept before it is used (C4). @param {Session} session */
    adopt(session: Session): Promise<void>;
    /**
     * @param {Session} session
     * @param {number} left ms. Of a stored session a guess, since the wall clock may be wrong; of a new one what the
     *   server said (C8).
     */
    use(session: Session, left: number): void;
    /** While the client runs it refreshes by itself. @param {boolean} running */
    run(running: boolean): void;
    schedule(): void;
    refreshInTime(): Promise<void>;
    /**
     * Asks with the token. Where it is over it is refreshed, and the same is asked again, once (C2).
     * @template T
     * @param {(token: string) => Promise<T>} ask
     * @returns {Promise<T>}
     * @throws {ApiError}
     */
    withToken<T>(ask: (token: string) => Promise<T>): Promise<T>;
    /** Refreshes, unless another one has done it meanwhile. @param {string} token The one that is over. */
    refresh(token: string): Promise<Session>;
    /** C3. @param {string} token @returns {Promise<Session>} */
    refreshAlone(token: string): Promise<Session>;
    /** Without an answer the same is asked again: the server then gives the same tokens (C4). @param {string} refreshToken */
    askForRefresh(refreshToken: string): Promise<Session>;
    /** The server says so (C5), unless another one has a newer session. @param {string} token @param {ApiError} error */
    ended(token: string, error: ApiError): Promise<Session>;
    /**
     * Another tab has refreshed, or logged in: after the session that was used here until now was the newest one. So its
     * age has a bound that no wrong wall clock changes (C8).
     * @param {Session} session
     */
    takeOver(session: Session): Session;
    /** @param {ApiError} error @returns {SessionEnded} */
    gone(error: ApiError): SessionEnded;
    /** The person ended it, or the server closed the socket for good. @param {string} code */
    end(code: string): Promise<void>;
}
import { ApiError } from "./errors.js";
import type { Api } from "./api.js";
import type { Store } from "./types.js";
import type { Clock } from "./types.js";
import type { Session } from "./types.js";
