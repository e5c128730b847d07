/** @typedef {{deviceId: string, deviceName: string, lastSeen: string}} LinkedDevice */
/** A listener's: the program hears of it as of any that nobody has caught, and the client goes on. @param {unknown} error */
export function mistake(error: unknown): void;
/** What all errors of this package are. None holds a token, a password, a ticket or a text (C7). */
export class ClientError extends Error {
    /** @param {string} message */
    constructor(message: string);
}
/**
 * A refusal of the server's by HTTP. No answer at all is `status` 0 with `code` `unreachable`; with `status` 0 also why a
 * client does not run (`online`, `run`, `messages`): the `code` of its state, and as `cause` what the handler or the
 * store threw.
 */
export class ApiError extends ClientError {
    /**
     * @param {number} status
     * @param {string} code One of the protocol's; the client's own are `unreachable` and `bad_answer`.
     * @param {string} message
     * @param {{retryAfter?: number, errors?: {field: string, message: string}[], devices?: LinkedDevice[]}} [more]
     */
    constructor(status: number, code: string, message: string, more?: {
        retryAfter?: number;
        errors?: {
            field: string;
            message: string;
        }[];
        devices?: LinkedDevice[];
    });
    status: number;
    code: string;
    /** Seconds. */
    retryAfter: number | undefined;
    errors: {
        field: string;
        message: string;
    }[] | undefined;
    /** With `too_many_devices`: one of these may be replaced. */
    devices: LinkedDevice[] | undefined;
}
/** A message was not sent: refused, or (`stopped`) the client ended before the answer and the message still waits. */
export class SendFailed extends ClientError {
    /**
     * @param {string} code
     * @param {string} message
     * @param {string} id The `messageId`.
     */
    constructor(code: string, message: string, id: string);
    code: string;
    id: string;
}
/** The store is of another account, server or device than the client was made for. */
export class StoreMismatch extends ClientError {
}
export function isTime(value: unknown): boolean;
export function isSeconds(value: unknown): boolean;
export function asText(value: unknown): string;
export type LinkedDevice = {
    deviceId: string;
    deviceName: string;
    lastSeen: string;
};
