/** What all errors of this package are. None holds a token, a password, a ticket or a text (C7). */
export class ClientError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "ClientError";
  }
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
export class SendFailed extends ClientError {
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

/** The store is of another account, server or device than the client was made for. */
export class StoreMismatch extends ClientError {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "StoreMismatch";
  }
}

/** @typedef {{deviceId: string, deviceName: string, lastSeen: string}} LinkedDevice */

/** A listener's: the program hears of it as of any that nobody has caught, and the client goes on. @param {unknown} error */
export function mistake(error) {
  if (typeof reportError === "function") return reportError(error);
  queueMicrotask(() => {
    throw error;
  });
}

// ---- what the other side wrote in a field, where it may have written anything

const LATEST_MS = 253_402_300_799_999; // the end of the year 9999: not everything that shows a time takes a later one

/** Whether a program can show it. @param {unknown} value ms of Unix time. */
export const isTime = (value) => typeof value === "number" && value >= 0 && value <= LATEST_MS;

/** @param {unknown} value */
export const isSeconds = (value) => typeof value === "number" && value >= 0 && Number.isFinite(value);

/** What should be a text: `String()` throws where an object of JSON has a field `toString`. @param {unknown} value */
export const asText = (value) => (typeof value === "object" ? "" : String(value ?? ""));
