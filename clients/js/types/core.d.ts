export class Core {
    /** @param {{random: () => number}} how */
    constructor({ random }: {
        random: () => number;
    });
    random: () => number;
    /** @type {Effect[]} */
    effects: Effect[];
    /** @type {Map<string, {at: number, run: (now: number) => void}>} */
    timers: Map<string, {
        at: number;
        run: (now: number) => void;
    }>;
    /** @type {State} */
    state: State;
    round: number;
    tokens: number;
    own: string;
    /** @type {string | null} */
    epoch: string | null;
    maxBytes: number;
    pingMs: number;
    failures: number;
    hasSocket: boolean;
    online: boolean;
    onlineSince: number;
    refreshFirst: boolean;
    /** @type {number | undefined} Seconds. */
    retryAfter: number | undefined;
    obeying: boolean;
    stopping: boolean;
    mayLogIn: boolean;
    /** Why it connected without a pause since a connection was last good for long. @type {Set<string>} */
    hurried: Set<string>;
    outgoing: Outgoing;
    incoming: Incoming;
    people: People;
    /** Whether it connects by itself, now or later. */
    get running(): boolean;
    /** @param {Effect} effect */
    effect(effect: Effect): void;
    /** @template {keyof Events} K @param {K} name @param {Events[K]} value */
    emit<K extends keyof Events>(name: K, value: Events[K]): void;
    /** Only while online. @param {Frame[]} frames */
    send(...frames: Frame[]): void;
    /** @param {string} name @param {number} at @param {(now: number) => void} run */
    at(name: string, at: number, run: (now: number) => void): void;
    /** @param {string} name */
    cancel(name: string): void;
    nextToken(): number;
    /** What is to be done, in this order. */
    take(): Effect[];
    /** When `wake` is to be called, or Infinity. */
    deadline(): number;
    /** @param {number} now */
    wake(now: number): void;
    /**
     * The shell knows its store: begin.
     * @param {number} now
     * @param {Kept} kept
     * @param {{code: string, message: string, retryAfter?: number} | null} error Why there is no session yet.
     */
    start(now: number, kept: Kept, error?: {
        code: string;
        message: string;
        retryAfter?: number;
    } | null): void;
    /** A person or the program wants it (`byPerson`), or the machine says that its network is back. */
    connectNow(byPerson?: boolean): void;
    /** There is a new session, by the password; once until a connection was steady (C5). */
    didLogIn(): void;
    /** A person has logged in. */
    loggedIn(): void;
    /** The session ended by a log-out here, or as an answer to a request said. */
    sessionEnded(code?: string, reason?: string, mayLogIn?: boolean): void;
    /** @param {number} now @param {number} ms The longest that it may take. */
    stop(now: number, ms: number): void;
    /** A stop waits for answers and acknowledgements (C39). */
    checkStopped(): void;
    /** The store does not keep any more. @param {unknown} cause @param {number} [token] Of what it failed to keep. */
    storeFailed(cause: unknown, token?: number): void;
    connect(): void;
    /** @param {number} now @param {number} round @param {string} ticket */
    ticket(now: number, round: number, ticket: string): void;
    /**
     * No ticket was to be had (C14).
     * @param {number} now
     * @param {number} round
     * @param {{code: string, message: string, retryAfter?: number}} error
     * @param {boolean} isFinal There is no session, and no log-in without a person.
     */
    refused(now: number, round: number, { code, message, retryAfter }: {
        code: string;
        message: string;
        retryAfter?: number;
    }, isFinal: boolean): void;
    /** @param {number} now @param {number} round @param {string | null} text Null if it was not text. */
    received(now: number, round: number, text: string | null): void;
    /** What is not kept in the store. @param {number} now @param {Frame} frame */
    handle(now: number, frame: Frame): void;
    /** @param {number} now @param {Frame} frame */
    hello(now: number, frame: Frame): void;
    /** C35. The first epoch of all is none that changed. @param {number} now @param {string} epoch @param {string} reason */
    resync(now: number, epoch: string, reason: string): void;
    steady(): void;
    /** @param {number} now */
    heard(now: number): void;
    /** C15. @param {number} now */
    ping(now: number): void;
    /** @param {number} now @param {Frame} frame */
    refusal(now: number, { ...frame }: Frame): void;
    /** @param {number} now @param {number} round @param {number} code @param {string} reason */
    closed(now: number, round: number, code: number, reason: string): void;
    /** The client itself gives it up. @param {number} now @param {string} reason @param {boolean} [blame] */
    lose(now: number, reason: string, blame?: boolean): void;
    /** It connects at once, but not twice in a row. @param {number} now @param {string} why @param {string} reason */
    again(now: number, why: string, reason: string): void;
    /** @param {number} now @param {{code?: string, reason: string}} why @param {number} [retryAfter] Seconds (C11, C12). */
    pause(now: number, why: {
        code?: string;
        reason: string;
    }, retryAfter?: number): void;
    /** It connects no more by itself. @param {State} state */
    finish(state: State): void;
    /** Whatever there is of a connection is over. */
    drop(): void;
    /** A connection is over. @param {boolean} [blame] What had no answer may be the reason (C26). */
    end(blame?: boolean): void;
    /** @param {State} state @param {number} [wait] */
    show(state: State, wait?: number): void;
    /** The store has kept it. @param {number} now @param {number} token @param {News[]} news */
    applied(now: number, token: number, news: News[]): void;
}
/**
 * - `ticket`: get one, after a refresh if `refresh`, and a log-in with the password if there is no session and `logIn`;
 *   reply with `ticket` or `refused`
 * - `open`: a socket with it; reply with `received` and `closed`. `close`: the socket, and never reply for it again
 * - `forget`: the session has ended
 * - `state`: show it; `wait` is how long a pause lasts
 * - `hand`: the message to the handler, if the store does not know it; reply with `handled`
 * - `apply`: to the store; reply with `applied`
 * - `settle`: what waits for this message's answer gets it; `abandon`: everybody who waits for one fails
 */
export type Effect = {
    do: "ticket";
    round: number;
    refresh: boolean;
    logIn: boolean;
} | {
    do: "open";
    round: number;
    ticket: string;
} | {
    do: "close";
} | {
    do: "send";
    frames: Frame[];
} | {
    do: "forget";
} | {
    do: "state";
    state: State;
    wait?: number;
} | {
    do: "hand";
    token: number;
    message: Message;
} | {
    do: "apply";
    token: number;
    changes: Change[];
} | {
    do: "saveEpoch";
    epoch: string;
} | {
    do: "settle";
    message: Message;
    timestamp?: number;
    error?: {
        code: string;
        message: string;
    };
} | {
    do: "abandon";
} | { [K in keyof Events]: {
    do: "emit";
    name: K;
    value: Events[K];
}; }[keyof Events];
/**
 * As it came: unknown fields may be there, and known ones of any type.
 */
export type Frame = Record<string, any>;
import type { State } from "./types.js";
import { Outgoing } from "./outgoing.js";
import { Incoming } from "./incoming.js";
import { People } from "./people.js";
import type { Events } from "./types.js";
import type { Kept } from "./types.js";
import type { News } from "./types.js";
import type { Message } from "./types.js";
import type { Change } from "./types.js";
