/** A refusal of the server's by HTTP. No answer at all is `status` 0 with `code` `unreachable`. */
export class ApiError extends Error {
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
export class SendFailed extends Error {
    /**
     * @param {string} code
     * @param {string} message
     * @param {string} id The `messageId`.
     */
    constructor(code: string, message: string, id: string);
    code: string;
    id: string;
}
export type LinkedDevice = {
    deviceId: string;
    deviceName: string;
    lastSeen: string;
};
