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
    constructor(url: string | URL, { fetch, bearer }?: {
        fetch?: typeof globalThis.fetch;
        bearer?: Bearer;
    });
    url: string;
    /** @private @type {typeof globalThis.fetch} Browsers refuse to run theirs as a method of something else. */
    private fetch;
    /** @private */
    private bearer;
    /** Settles when no change of the number is on its way: until then the old session may be over already. @type {Promise<unknown>} */
    changing: Promise<unknown>;
    /** @param {{name: string, mobileNo: string, password: string, code?: string}} who @returns {Promise<{id: string}>} */
    signUp(who: {
        name: string;
        mobileNo: string;
        password: string;
        code?: string;
    }): Promise<{
        id: string;
    }>;
    /** Has a code sent to the number. @param {string} mobileNo @returns {Promise<{expiresIn: number}>} In seconds. */
    requestCode(mobileNo: string): Promise<{
        expiresIn: number;
    }>;
    /** Ends all sessions. @param {{mobileNo: string, code: string, newPassword: string}} what @returns {Promise<void>} */
    resetPassword(what: {
        mobileNo: string;
        code: string;
        newPassword: string;
    }): Promise<void>;
    /**
     * Gives the session; nothing is kept.
     * @param {{mobileNo: string, password: string, deviceId?: string, deviceName?: string, replaceDeviceId?: string}} who
     * @param {AbortSignal} [signal]
     * @returns {Promise<Session>}
     */
    logIn(who: {
        mobileNo: string;
        password: string;
        deviceId?: string;
        deviceName?: string;
        replaceDeviceId?: string;
    }, signal?: AbortSignal): Promise<Session>;
    /** @param {string} refreshToken @param {number} timeout ms @returns {Promise<Session>} */
    refresh(refreshToken: string, timeout: number): Promise<Session>;
    /** Only what belongs to it. @private @param {any} answer @returns {Session} */
    private session;
    /** @returns {Promise<Profile>} */
    me(): Promise<Profile>;
    /** @param {{name?: string, about?: string}} what @returns {Promise<Profile>} */
    updateMe(what: {
        name?: string;
        about?: string;
    }): Promise<Profile>;
    /** The session goes on with another number and other tokens. @param {{mobileNo: string, password: string, code?: string}} to */
    changeNumber(to: {
        mobileNo: string;
        password: string;
        code?: string;
    }): Promise<Session>;
    /** @private @param {{mobileNo: string, password: string, code?: string}} to */
    private changeNumberAndAdopt;
    /** @param {string} password @returns {Promise<void>} */
    deleteAccount(password: string): Promise<void>;
    /** Everything that the server holds about the person. @returns {Promise<Record<string, any>>} */
    exportAll(): Promise<Record<string, any>>;
    /** @returns {Promise<{deviceId: string, deviceName: string, lastSeen: string, waiting: number, current: boolean}[]>} */
    devices(): Promise<{
        deviceId: string;
        deviceName: string;
        lastSeen: string;
        waiting: number;
        current: boolean;
    }[]>;
    /** @param {string} deviceId @returns {Promise<void>} */
    unlinkDevice(deviceId: string): Promise<void>;
    /** @returns {Promise<{id: string, deviceId: string, deviceName: string, createdAt: string, lastUsedAt: string, current: boolean}[]>} */
    sessions(): Promise<{
        id: string;
        deviceId: string;
        deviceName: string;
        createdAt: string;
        lastUsedAt: string;
        current: boolean;
    }[]>;
    /** @param {string} id @returns {Promise<void>} */
    endSession(id: string): Promise<void>;
    /**
     * The latest first. `before` is an event's `id`.
     * @param {{before?: string, limit?: number}} [which]
     * @returns {Promise<{id: string, kind: string, at: string, deviceId: string, sessionId?: string, reason?: string, times: number}[]>}
     */
    securityEvents(which?: {
        before?: string;
        limit?: number;
    }): Promise<{
        id: string;
        kind: string;
        at: string;
        deviceId: string;
        sessionId?: string;
        reason?: string;
        times: number;
    }[]>;
    /** @returns {Promise<void>} */
    logOut(): Promise<void>;
    /** `all`: this session, too. @param {{all?: boolean}} [how] @returns {Promise<{ended: number}>} */
    logOutEverywhere({ all }?: {
        all?: boolean;
    }): Promise<{
        ended: number;
    }>;
    /** All other sessions end. @param {{currentPassword: string, newPassword: string}} what @returns {Promise<void>} */
    changePassword(what: {
        currentPassword: string;
        newPassword: string;
    }): Promise<void>;
    /** @param {string} mobileNo @returns {Promise<void>} */
    block(mobileNo: string): Promise<void>;
    /** @param {string} mobileNo @returns {Promise<void>} */
    unblock(mobileNo: string): Promise<void>;
    /** The latest last. @returns {Promise<{username: string, mobileNo: string}[]>} */
    blocked(): Promise<{
        username: string;
        mobileNo: string;
    }[]>;
    /** @param {string} mobileNo @returns {Promise<{username: string, mobileNo: string, lastSeen?: string}>} */
    lastSeen(mobileNo: string): Promise<{
        username: string;
        mobileNo: string;
        lastSeen?: string;
    }>;
    /**
     * Those of up to 100 numbers that have an account.
     * @param {string[]} mobileNos
     * @returns {Promise<{data: {index: number, mobileNo: string, name: string, about?: string}[], errors?: {field: string, message: string}[]}>}
     */
    lookup(mobileNos: string[]): Promise<{
        data: {
            index: number;
            mobileNo: string;
            name: string;
            about?: string;
        }[];
        errors?: {
            field: string;
            message: string;
        }[];
    }>;
    /** @returns {Promise<Privacy>} */
    privacy(): Promise<Privacy>;
    /** What is not named stays. @param {Partial<Privacy>} what @returns {Promise<Privacy>} */
    setPrivacy(what: Partial<Privacy>): Promise<Privacy>;
    /** What opens one socket. @param {AbortSignal} [signal] @returns {Promise<string>} */
    ticket(signal?: AbortSignal): Promise<string>;
    /** Whether this process serves. @returns {Promise<{status: string}>} */
    health(): Promise<{
        status: string;
    }>;
    /** Whether it can do its work. @returns {Promise<{status: string, checks: Record<string, boolean>}>} */
    ready(): Promise<{
        status: string;
        checks: Record<string, boolean>;
    }>;
    /** The interface for machines: OpenAPI. @returns {Promise<Record<string, any>>} */
    openapi(): Promise<Record<string, any>>;
    /** The same of the socket: AsyncAPI. @returns {Promise<Record<string, any>>} */
    asyncapi(): Promise<Record<string, any>>;
    /** @private @param {string} path @param {Request["query"]} [query] @returns {Promise<any>} */
    private data;
    /** With a token. @private @param {string} method @param {string} path @param {Request} [what] @returns {Promise<any>} */
    private askAs;
    /** @private @param {string} method @param {string} path @param {Request} [what] @returns {Promise<any>} The body. */
    private ask;
}
export type Request = {
    body?: Record<string, unknown> | undefined;
    query?: Record<string, string | number | boolean | undefined> | undefined;
    token?: string | undefined;
    /**
     * ms
     */
    timeout?: number | undefined;
    /**
     * Nobody waits for the answer any more.
     */
    signal?: AbortSignal | undefined;
};
/**
 * Who knows the token, and what to do when it is refused.
 */
export type Bearer = {
    withToken: <T>(ask: (token: string) => Promise<T>) => Promise<T>;
    adopt: (session: Session) => Promise<void>;
    end: (code: string) => Promise<void>;
};
export type Profile = {
    id: string;
    name: string;
    about: string;
    mobileNo: string;
    deviceId: string;
    createdAt: string;
};
export type Audience = "everyone" | "contacts" | "nobody";
export type Privacy = {
    lastSeen: Audience;
    online: Audience;
    readReceipts: "on" | "off";
    strangerReceipts: "on" | "off";
};
import type { Session } from "./types.js";
