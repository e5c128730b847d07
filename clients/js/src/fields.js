// What the other side wrote in a field, where it may have written anything.

const LATEST_MS = 253_402_300_799_999; // the end of the year 9999: not everything that shows a time takes a later one

/** Whether a program can show it. @param {unknown} value ms of Unix time. */
export const isTime = (value) => typeof value === "number" && value >= 0 && value <= LATEST_MS;

/** @param {unknown} value */
export const isSeconds = (value) => typeof value === "number" && value >= 0 && Number.isFinite(value);

/** What should be a text: `String()` throws where an object of JSON has a field `toString`. @param {unknown} value */
export const asText = (value) => (typeof value === "object" ? "" : String(value ?? ""));
