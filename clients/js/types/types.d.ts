/**
 * States of one's own: `waiting` → `sent` → `expired` → `delivered` → `read`, and `failed`.
 * Of others': `new` → `read`.
 */
export type MessageState = "waiting" | "failed" | "sent" | "expired" | "delivered" | "read" | "new";
export type Message = {
    /**
     * The `messageId`.
     */
    id: string;
    /**
     * The other one's number, of one's own messages, too.
     */
    peer: string;
    /**
     * Whether it is one's own.
     */
    mine: boolean;
    text: string;
    /**
     * Of the server; while it waits, of this machine.
     */
    timestamp: number;
    state: MessageState;
    streamId?: string | undefined;
    /**
     * Of one that failed.
     */
    error?: {
        code: string;
        message: string;
    } | undefined;
    /**
     * Of stores with a history: its place in the order in which this device got to know it.
     */
    n?: number | undefined;
};
/**
 * What a log-in or a refresh brought, and where.
 */
export type Session = {
    url: string;
    mobileNo: string;
    id: string;
    name: string;
    deviceId: string;
    token: string;
    /**
     * RFC 3339.
     */
    expiresAt: string;
    refreshToken: string;
    /**
     * RFC 3339.
     */
    refreshExpiresAt: string;
};
/**
 * One thing that happened to messages. `retried` puts a failed message at the end of those that wait (with `newId` if
 * it failed with `message_id_reused`, C24), `discarded` removes a failed one. `told` says of messages that were `read`
 * here that the server has been told so.
 */
export type Change = {
    kind: "chat" | "own";
    message: Message;
} | {
    kind: "sent";
    peer: string;
    id: string;
    timestamp: number;
} | {
    kind: "receipt";
    peer: string;
    ids: string[];
    state: "expired" | "delivered" | "read";
    timestamp: number;
} | {
    kind: "failed";
    peer: string;
    id: string;
    error: {
        code: string;
        message: string;
    };
} | {
    kind: "retried";
    id: string;
    newId: string;
    timestamp: number;
} | {
    kind: "discarded";
    id: string;
} | {
    kind: "read" | "told" | "ownRead";
    peer: string;
    ids: string[];
};
/**
 * A change that was news. `ids` are those that it changed; `message` is the message as it is kept now, of `chat`,
 * `own`, `failed`, `retried` and `discarded`. Of an `own` that a receipt preceded it has the receipt's state already.
 */
export type News = {
    kind: Change["kind"];
    peer: string;
    ids: string[];
    message?: Message | undefined;
    /**
     * Of `sent` and `receipt`.
     */
    state?: MessageState | undefined;
    /**
     * Of `sent` and `receipt`.
     */
    timestamp?: number | undefined;
};
/**
 * What a store gives at the start.
 */
export type Kept = {
    session: Session | null;
    epoch: string | null;
    /**
     * Messages to be sent, in the order in which they were written.
     */
    waiting: Message[];
    /**
     * Those that were refused, and neither retried nor discarded.
     */
    failed: Message[];
    /**
     * Messages of others that were read here, and the server not told.
     */
    reads: {
        peer: string;
        ids: string[];
    }[];
};
/**
 * What must survive, for one account and one device. Anybody may write one: `MemoryStore` is the shortest.
 * A method whose promise is fulfilled has kept it durably.
 */
export type Store = {
    /**
     * Whether it keeps texts of what came. If not, and nobody listens to messages, chats stay
     * at the server.
     */
    history: boolean;
    load: () => Promise<Kept>;
    saveSession: (session: Session | null) => Promise<void>;
    /**
     * Runs `task` while no other user of the store does.
     */
    locked: <T>(task: () => Promise<T>) => Promise<T>;
    /**
     * Keeps a message of one's own that waits, and gives it as it is
     * kept: with the state that it has if it was sent already; another one, if that waits with the same id.
     */
    add: (message: Message) => Promise<Message>;
    /**
     * In one transaction; gives back those that were news.
     */
    apply: (changes: Change[]) => Promise<News[]>;
    /**
     * Those of the chats that are not known (C30).
     */
    unknown: (chats: Message[]) => Promise<Message[]>;
    /**
     * Also forgets all `streamId`s if there was another one.
     */
    saveEpoch: (epoch: string) => Promise<void>;
    /**
     * Lets go of files, locks and connections.
     */
    close: () => Promise<void>;
};
/**
 * `off`, `connecting`, `online`, `pausing` (`until`, by this machine's clock), `stopped`, `loggedOut` (both with
 * `code`, `reason`, and `cause` when the handler or the store failed).
 */
export type State = {
    name: "off" | "connecting" | "online" | "pausing" | "stopped" | "loggedOut";
    /**
     * ms of Unix time.
     */
    until?: number | undefined;
    /**
     * A code of the protocol, the number of a close, `handler_failed`, or `store_failed`.
     */
    code?: string | undefined;
    reason?: string | undefined;
    cause?: unknown;
};
export type Events = {
    state: State;
    /**
     * Of others, after it was kept and acknowledged.
     */
    message: Message;
    /**
     * One's own, kept.
     */
    posted: Message;
    tick: {
        peer: string;
        ids: string[];
        state: MessageState;
        timestamp: number;
    };
    failed: Message;
    /**
     * Sent on another device of this person.
     */
    own: Message;
    /**
     * Read on another device of this person.
     */
    ownRead: {
        peer: string;
        ids: string[];
    };
    typing: {
        peer: string;
        active: boolean;
    };
    presence: {
        mobileNo: string;
        online: boolean;
        lastSeen?: number;
    };
    resync: {
        reason: string;
    };
    /**
     * A refusal that names
     * no chat.
     */
    notice: {
        code: string;
        message: string;
        component: string;
        [more: string]: unknown;
    };
    /**
     * For looking on.
     */
    frame: {
        direction: "in" | "out";
        frame: Record<string, unknown>;
    };
};
export type ClientOptions = {
    /**
     * As the person writes it. Not needed when the store has a session; the store of another
     * number is refused (`StoreMismatch`).
     */
    mobileNo?: string | undefined;
    /**
     * If given, the client logs in by itself.
     */
    password?: string | undefined;
    /**
     * Default: a `MemoryStore`.
     */
    store?: Store | undefined;
    /**
     * Default: the stored session's, else the server's `primary`. Two clients that run at the
     * same time need two.
     */
    deviceId?: string | undefined;
    deviceName?: string | undefined;
    /**
     * Where the runtime has none, such as Node 20.
     */
    WebSocket?: (new (url: string, protocols: string[]) => Socket) | undefined;
    fetch?: typeof fetch | undefined;
    /**
     * For tests.
     */
    clock?: Clock | undefined;
};
/**
 * As much of a WebSocket as the client uses. Those of browsers, of Node and of the package `ws` are some.
 */
export type Socket = {
    onmessage: ((event: any) => void) | null;
    onclose: ((event: any) => void) | null;
    onerror: ((event: any) => void) | null;
    send: (data: string) => void;
    close: (code?: number) => void;
};
export type Clock = {
    /**
     * Monotonic, in ms.
     */
    now: () => number;
    /**
     * ms of Unix time, as this machine believes.
     */
    wall: () => number;
    /**
     * Runs it after `ms`, unless what it gave is called.
     */
    later: (run: () => void, ms: number) => () => void;
    /**
     * From 0 to below 1.
     */
    random: () => number;
};
