export class Takers {
    /**
     * @param {object} how
     * @param {() => void} how.changed There is another taker, or none any more.
     * @param {() => Error | null | undefined} how.end Why a loop gets no more messages, if it gets none.
     */
    constructor({ changed, end }: {
        changed: () => void;
        end: () => Error | null | undefined;
    });
    /** @param {Handler | null} handler @throws {ClientError} There is a loop. */
    set handler(handler: Handler | null);
    get handler(): Handler | null;
    /** Whether there is one that messages are handed to, one after the other. */
    get isThere(): boolean;
    /** Whether a loop was left: the program may come back for more. */
    get isAwaited(): boolean;
    /** Whether the code that runs just now is the one that has a message in hands: who waits for that waits for itself. */
    get isCaller(): boolean;
    /** @param {Message} message @returns {Promise<boolean>} False if nobody has taken it. Rejects when the handler does. */
    hand(message: Message): Promise<boolean>;
    /** The client goes on, or does not. */
    turned(): void;
    /** @returns {AsyncGenerator<Message, void, undefined>} @throws {ClientError} There is a taker already. */
    messages(): AsyncGenerator<Message, void, undefined>;
    #private;
}
/**
 * Whether it returns a promise or not.
 */
export type Handler = (message: Message) => unknown;
/**
 * A loop over messages. `end`: why it gets no more of them; null if the client was stopped.
 */
export type Loop = {
    offered: {
        message: Message;
        taken: (taken: boolean) => void;
    } | null;
    end?: Error | null;
    wake: () => void;
};
import type { Message } from "./types.js";
