/**
 * The interface in types: nothing here runs, and no browser loads it.
 *
 * Numbers are mobile numbers in digits. Times are milliseconds of Unix time, the server's unless it says otherwise.
 * What each thing does is said in `docs/clients.md`; C1–C40 are the rules there.
 */

/**
 * States of one's own: `waiting` → `sent` → `expired` → `delivered` → `read`, and `failed`.
 * Of others': `new` → `read`.
 * @typedef {"waiting" | "failed" | "sent" | "expired" | "delivered" | "read" | "new"} MessageState
 */

/**
 * @typedef {object} Message
 * @property {string} id The `messageId`.
 * @property {string} peer The other one's number, of one's own messages, too.
 * @property {boolean} mine Whether it is one's own.
 * @property {string} text
 * @property {number} timestamp Of the server; while it waits, of this machine.
 * @property {MessageState} state
 * @property {string} [streamId]
 * @property {{code: string, message: string}} [error] Of one that failed.
 * @property {number} [n] Of stores with a history: its place in the order in which this device got to know it.
 */

/**
 * @typedef {object} Session What a log-in or a refresh brought, and where.
 * @property {string} url
 * @property {string} mobileNo
 * @property {string} id
 * @property {string} name
 * @property {string} deviceId
 * @property {string} token
 * @property {string} expiresAt RFC 3339.
 * @property {string} refreshToken
 * @property {string} refreshExpiresAt RFC 3339.
 */

/**
 * One thing that happened to messages. `retried` puts a failed message at the end of those that wait (with `newId` if
 * it failed with `message_id_reused`, C24), `discarded` removes a failed one. `told` says of messages that were `read`
 * here that the server has been told so.
 * @typedef {{kind: "chat" | "own", message: Message}
 *   | {kind: "sent", peer: string, id: string, timestamp: number}
 *   | {kind: "receipt", peer: string, ids: string[], state: "expired" | "delivered" | "read", timestamp: number}
 *   | {kind: "failed", peer: string, id: string, error: {code: string, message: string}}
 *   | {kind: "retried", id: string, newId: string, timestamp: number}
 *   | {kind: "discarded", id: string}
 *   | {kind: "read" | "told" | "ownRead", peer: string, ids: string[]}} Change
 */

/**
 * A change that was news. `ids` are those that it changed; `message` is the message as it is kept now, of `chat`,
 * `own`, `failed`, `retried` and `discarded`. Of an `own` that a receipt preceded it has the receipt's state already.
 * @typedef {object} News
 * @property {Change["kind"]} kind
 * @property {string} peer
 * @property {string[]} ids
 * @property {Message} [message]
 * @property {MessageState} [state] Of `sent` and `receipt`.
 * @property {number} [timestamp] Of `sent` and `receipt`.
 */

/**
 * What a store gives at the start.
 * @typedef {object} Kept
 * @property {Session | null} session
 * @property {string | null} epoch
 * @property {Message[]} waiting Messages to be sent, in the order in which they were written.
 * @property {Message[]} failed Those that were refused, and neither retried nor discarded.
 * @property {{peer: string, ids: string[]}[]} reads Messages of others that were read here, and the server not told.
 */

/**
 * What must survive, for one account and one device. Anybody may write one: `MemoryStore` is the shortest.
 * A method whose promise is fulfilled has kept it durably.
 * @typedef {object} Store
 * @property {boolean} history Whether it keeps texts of what came. If not, and nobody listens to messages, chats stay
 *   at the server.
 * @property {() => Promise<Kept>} load
 * @property {(session: Session | null) => Promise<void>} saveSession
 * @property {<T>(task: () => Promise<T>) => Promise<T>} locked Runs `task` while no other user of the store does.
 * @property {(message: Message) => Promise<Message>} add Keeps a message of one's own that waits, and gives it as it is
 *   kept: with the state that it has if it was sent already; another one, if that waits with the same id.
 * @property {(changes: Change[]) => Promise<News[]>} apply In one transaction; gives back those that were news.
 * @property {(chats: Message[]) => Promise<Message[]>} unknown Those of the chats that are not known (C30).
 * @property {(epoch: string) => Promise<void>} saveEpoch Also forgets all `streamId`s if there was another one.
 * @property {() => Promise<void>} close Lets go of files, locks and connections.
 */

/**
 * `off`, `connecting`, `online`, `pausing` (`until`, by this machine's clock), `stopped`, `loggedOut` (both with
 * `code`, `reason`, and `cause` when the handler or the store failed).
 * @typedef {object} State
 * @property {"off" | "connecting" | "online" | "pausing" | "stopped" | "loggedOut"} name
 * @property {number} [until] ms of Unix time.
 * @property {string} [code] A code of the protocol, the number of a close, `handler_failed`, or `store_failed`.
 * @property {string} [reason]
 * @property {unknown} [cause]
 */

/**
 * @typedef {object} Events
 * @property {State} state
 * @property {Message} message Of others, after it was kept and acknowledged.
 * @property {Message} posted One's own, kept.
 * @property {{peer: string, ids: string[], state: MessageState, timestamp: number}} tick
 * @property {Message} failed
 * @property {Message} own Sent on another device of this person.
 * @property {{peer: string, ids: string[]}} ownRead Read on another device of this person.
 * @property {{peer: string, active: boolean}} typing
 * @property {{mobileNo: string, online: boolean, lastSeen?: number}} presence
 * @property {{reason: string}} resync
 * @property {{code: string, message: string, component: string, [more: string]: unknown}} notice A refusal that names
 *   no chat.
 * @property {{direction: "in" | "out", frame: Record<string, unknown>}} frame For looking on.
 */

/**
 * @typedef {object} ClientOptions
 * @property {string} [mobileNo] As the person writes it. Not needed when the store has a session; the store of another
 *   number is refused (`StoreMismatch`).
 * @property {string} [password] If given, the client logs in by itself.
 * @property {Store} [store] Default: a `MemoryStore`.
 * @property {string} [deviceId] Default: the stored session's, else the server's `primary`. Two clients that run at the
 *   same time need two.
 * @property {string} [deviceName]
 * @property {new (url: string, protocols: string[]) => Socket} [WebSocket] Where the runtime has none, such as Node 20.
 * @property {typeof globalThis.fetch} [fetch]
 * @property {Clock} [clock] For tests.
 */

/**
 * As much of a WebSocket as the client uses. Those of browsers, of Node and of the package `ws` are some.
 * @typedef {object} Socket
 * @property {((event: any) => void) | null} onmessage
 * @property {((event: any) => void) | null} onclose
 * @property {((event: any) => void) | null} onerror
 * @property {(data: string) => void} send
 * @property {(code?: number) => void} close
 */

/**
 * @typedef {object} Clock
 * @property {() => number} now Monotonic, in ms.
 * @property {() => number} wall ms of Unix time, as this machine believes.
 * @property {(run: () => void, ms: number) => () => void} later Runs it after `ms`, unless what it gave is called.
 * @property {() => number} random From 0 to below 1.
 */

export {};
