// Which accounts this browser knows, and which of them this window shows. Sessions themselves are in IndexedDB.
//
// `?profile=NAME` gives a window a slot of its own, with its own accounts, device and history: so two people, or two
// devices of one, can be in one browser side by side.

import { signal } from "./vendor/preact.js";

// The address of the server: the folder above this file's. So the page also works under a proxy's path.
export const BASE = new URL("../", import.meta.url);

const profile = new URLSearchParams(location.search).get("profile") ?? "";
const SLOT = `wm:${BASE.pathname}${profile ? `${encodeURIComponent(profile)}:` : ""}`;
const KNOWN = `${SLOT}accounts`; // localStorage: [{mobileNo, name, deviceId, database, choices, blocked}], the one used last first
const SHOWN = `${SLOT}shown`; // sessionStorage: the number that this tab shows

// The name of the database of an account. It stays when the account gets another number; then somebody else's database
// may be the one of the old number, so that it is noted with the account.
export function databaseName(mobileNo) {
  const usual = `${SLOT}${mobileNo}`;
  const known = knownAccounts();
  const noted = known.find((one) => one.mobileNo === mobileNo)?.database;
  return noted ?? (known.some(({ database }) => database === usual) ? `${usual}:${randomHex()}` : usual);
}

const changes = signal(0); // of what is stored, so that a view that reads it is drawn again
addEventListener("storage", ({ key }) => key === KNOWN && (changes.value += 1));

// [{mobileNo, name, …}], the one used last first.
export function knownAccounts() {
  void changes.value;
  return JSON.parse(localStorage.getItem(KNOWN) ?? "[]");
}

// The number of the account that this tab shows, or "". A tab keeps to its account while it lives.
export function shownAccount() {
  const shown = sessionStorage.getItem(SHOWN);
  const known = knownAccounts().map(({ mobileNo }) => mobileNo);
  return known.includes(shown) ? shown : shown === null ? (known[0] ?? "") : "";
}

// This tab shows this account from now on.
export function rememberAccount({ mobileNo, name, deviceId }) {
  const before = knownAccounts().find((known) => known.mobileNo === mobileNo);
  keepFirst({ database: databaseName(mobileNo), ...before, mobileNo, name, ...(deviceId && { deviceId }) });
}

// The account that this tab shows has another number now. Its database stays what it is.
export function accountMoved(from, { mobileNo, name }) {
  const before = knownAccounts().find((known) => known.mobileNo === from);
  if (!before) return rememberAccount({ mobileNo, name }); // another tab was first
  const database = databaseName(from);
  forgetAccount(from);
  return keepFirst({ ...before, database, mobileNo, name });
}

function keepFirst(account) {
  keep([account, ...knownAccounts().filter((known) => known.mobileNo !== account.mobileNo)]);
  sessionStorage.setItem(SHOWN, account.mobileNo);
}

// What the person chose for this account in this browser: {notify, showText}.
export const choicesOf = (mobileNo) => knownAccounts().find((known) => known.mobileNo === mobileNo)?.choices ?? {};

export const choose = (mobileNo, change) => note(mobileNo, { choices: { ...choicesOf(mobileNo), ...change } });

// The numbers that the account has blocked, as the server said last: a page that opens without a network knows it, too.
export const blockedBy = (mobileNo) => knownAccounts().find((known) => known.mobileNo === mobileNo)?.blocked ?? [];
export const noteBlocked = (mobileNo, numbers) => note(mobileNo, { blocked: numbers });

function note(mobileNo, what) {
  keep(knownAccounts().map((one) => (one.mobileNo === mobileNo ? { ...one, ...what } : one)));
}

// This tab shows the door, until somebody logs in.
export function showNobody() {
  sessionStorage.setItem(SHOWN, "");
}

// The account is no more among those that this browser knows. Its database is not touched.
export function forgetAccount(mobileNo) {
  keep(knownAccounts().filter((known) => known.mobileNo !== mobileNo));
  if (sessionStorage.getItem(SHOWN) === mobileNo) showNobody();
}

function keep(accounts) {
  localStorage.setItem(KNOWN, JSON.stringify(accounts));
  changes.value = changes.peek() + 1;
}

const made = new Map(); // by what was written: tries with a wrong password come from one device

// The deviceId to log in with: the same one again for an account that was here before. Each account has one of its own,
// so that nobody can see at the server which accounts share a browser.
export function deviceIdFor(written) {
  const digits = written.replace(/\D/g, "").replace(/^00/, "");
  const known = knownAccounts().find(({ mobileNo }) => mobileNo === digits)?.deviceId;
  if (!known && !made.has(digits)) made.set(digits, `web-${crypto.randomUUID?.() ?? randomHex()}`);
  return known ?? made.get(digits);
}

// randomUUID() is missing where a page is not served securely, as by http:// in a local network.
function randomHex() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
