// Which accounts this browser knows, and which of them this window shows. Sessions themselves are in IndexedDB.
//
// `?profile=NAME` gives a window a slot of its own, with its own accounts, device and history: so two people, or two
// devices of one, can be in one browser side by side.

// The address of the server: the folder above this file's. So the page also works under a proxy's path.
export const BASE = new URL("../", import.meta.url);

const profile = new URLSearchParams(location.search).get("profile") ?? "";
const SLOT = `wm:${BASE.pathname}${profile ? `${encodeURIComponent(profile)}:` : ""}`;
const KNOWN = `${SLOT}accounts`; // localStorage: [{mobileNo, name}], the one used last first
const SHOWN = `${SLOT}shown`; // sessionStorage: the number that this tab shows
const DEVICE = `${SLOT}device`; // localStorage: this browser's deviceId

// The name of the database of an account.
export const databaseName = (mobileNo) => `${SLOT}${mobileNo}`;

// [{mobileNo, name}], the one used last first.
export function knownAccounts() {
  return JSON.parse(localStorage.getItem(KNOWN) ?? "[]");
}

// The number of the account that this tab shows, or "". A tab keeps to its account while it lives.
export function shownAccount() {
  const shown = sessionStorage.getItem(SHOWN);
  const known = knownAccounts().map(({ mobileNo }) => mobileNo);
  return known.includes(shown) ? shown : shown === null ? (known[0] ?? "") : "";
}

// This tab shows this account from now on.
export function rememberAccount({ mobileNo, name }) {
  const others = knownAccounts().filter((known) => known.mobileNo !== mobileNo);
  localStorage.setItem(KNOWN, JSON.stringify([{ mobileNo, name }, ...others]));
  sessionStorage.setItem(SHOWN, mobileNo);
}

// This tab shows the door, until somebody logs in.
export function showNobody() {
  sessionStorage.setItem(SHOWN, "");
}

// The account is no more among those that this browser knows. Its database is not touched.
export function forgetAccount(mobileNo) {
  localStorage.setItem(KNOWN, JSON.stringify(knownAccounts().filter((known) => known.mobileNo !== mobileNo)));
  if (sessionStorage.getItem(SHOWN) === mobileNo) showNobody();
}

// One for each browser (and profile), for every account: logging in again is the same device.
export function deviceId() {
  const known = localStorage.getItem(DEVICE);
  if (known) return known;
  const made = `web-${crypto.randomUUID?.() ?? randomHex()}`;
  localStorage.setItem(DEVICE, made);
  return made;
}

// randomUUID() is missing where a page is not served securely, as by http:// in a local network.
function randomHex() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
