/** A refusal of the server's by HTTP. No answer at all is `status` 0 with `code` `unreachable`. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code One of the protocol's; the client's own are `unreachable` and `bad_answer`.
   * @param {string} message
   * @param {{retryAfter?: number, errors?: {field: string, message: string}[], devices?: LinkedDevice[]}} [more]
   */
  constructor(status, code, message, more = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    /** Seconds. */
    this.retryAfter = more.retryAfter;
    this.errors = more.errors;
    /** With `too_many_devices`: one of these may be replaced. */
    this.devices = more.devices;
  }
}

/** A message was not sent: refused, or (`stopped`) the client ended before the answer and the message still waits. */
export class SendFailed extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {string} id The `messageId`.
   */
  constructor(code, message, id) {
    super(message);
    this.name = "SendFailed";
    this.code = code;
    this.id = id;
  }
}

/** @typedef {{deviceId: string, deviceName: string, lastSeen: string}} LinkedDevice */
