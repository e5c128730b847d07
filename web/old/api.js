// All HTTP requests. The token is sent in a header only.

const PATIENCE_MS = 15_000;

// Where the server is: the folder above web/. So the page also works under a proxy's path.
export const BASE = new URL("../../", import.meta.url);

export class ApiError extends Error {
  constructor(status, { code = "unknown", message = "The server refused.", errors = [] }, retryAfter) {
    super(message);
    this.status = status;
    this.code = code;
    this.errors = errors; // [{field, message}], of the fields that were not acceptable
    this.retryAfter = retryAfter; // seconds, or undefined
  }
}

async function call(method, path, token, body) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  let data;
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    answer = await fetch(new URL(path, BASE), { method, headers, body: body && JSON.stringify(body), signal, credentials: "omit" });
    data = await answer.json();
  } catch {
    throw new ApiError(0, { code: "unreachable", message: "The server cannot be reached." });
  }
  if (answer.ok && data.success) return data;
  const seconds = Number.parseFloat(answer.headers.get("Retry-After"));
  const retryAfter = Number.isFinite(seconds) ? seconds : undefined;
  throw new ApiError(answer.status, data, retryAfter);
}

// toWellFormed: for half an emoji encodeURIComponent would throw.
const of = (mobile) => `mobileNo=${encodeURIComponent(mobile.toWellFormed())}`;

export const signUp = (form) => call("POST", "auth/signin", null, form);
export const logIn = (form) => call("POST", "auth/login", null, { ...form, deviceName: "Browser" });
export const logOut = (token) => call("POST", "auth/logout", token);
export const ticket = async (token) => (await call("POST", "v1/tickets", token)).ticket;
export const lastSeen = async (token, mobile) => (await call("GET", `profile/lastseen?${of(mobile)}`, token)).data;
export const blocked = async (token) => (await call("GET", "block-action/list", token)).data;
export const block = (token, mobile) => call("POST", "block-action/block", token, { blockedUserMobileNo: mobile });
export const unblock = (token, mobile) => call("DELETE", `block-action/unblock?${of(mobile)}`, token);
