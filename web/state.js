// What the views share. Signals: a view that reads one is drawn again when it changes.

import { databaseName, forgetAccount, rememberAccount, showNobody, shownAccount } from "./accounts.js";
import { client, closeAccount, connection, on, openAccount, share, store } from "./opened.js";
import { route } from "./router.js";
import { computed, signal } from "./vendor/preact.js";

// client: the client of clients/js, or null while nobody is logged in. In tabs that do not lead it is not started: its
// `api` works in all of them. connection: {name, until?, code?, reason?}, the client's state, in all of them.
// store: the IndexedDBStore of the account.
export { client, connection, store };
export const ready = signal(false); // whether it is known who is logged in
export const account = signal(null); // {mobileNo, name, about?}, or null: nobody is logged in
export const leftBecause = signal(""); // a code, for the door to say why somebody is not logged in any more

// The number of the open chat, or "". An address may have one's own, which is no chat.
export const openChat = computed(() => {
  const { view, arg } = route.value;
  return view === "chat" && /^[1-9][0-9]{9,14}$/.test(arg) && arg !== account.value?.mobileNo ? arg : "";
});

// Finds out who is logged in here. Called once, by app.js.
export async function begin() {
  const mobileNo = shownAccount();
  if (mobileNo) await resume(mobileNo);
  ready.value = true;
}

// The door calls this after a log-in or sign-up, with the session as the client keeps it:
// {url, mobileNo, id, name, deviceId, token, expiresAt, refreshToken, refreshExpiresAt}.
export async function enter(session) {
  rememberAccount(session); // first, for it notes which database is theirs
  await _show(await openAccount(session.mobileNo, leave, session));
}

// The door calls this when somebody chooses an account that this browser knows. Says whether its session lives.
export async function resume(mobileNo) {
  const session = await openAccount(mobileNo, leave);
  if (session) await _show(session);
  else showNobody();
  return session !== null;
}

// The session has ended: after a log-out, or because the server says so. History and outbox stay in the browser.
// code: as leaving.js knows it.
export async function leave(code) {
  if (!account.value) return;
  account.value = null;
  leftBecause.value = purpose || code;
  purpose = "";
  showNobody();
  await closeAccount(leftBecause.value);
}

let purpose = "";

on("purpose", (code) => (purpose = code));

// Does what ends the session. The server closes the socket at once, perhaps before it answers: then it looks, in the tab
// that has the socket, as if somebody else had done it.
export async function onPurpose(code, task) {
  share("purpose", code);
  try {
    return await task();
  } finally {
    share("purpose", ""); // it was refused, or nobody hears it any more
  }
}

// This tab shows the door, and the account stays logged in: somebody wants to use another one.
export async function switchAccount() {
  account.value = null;
  leftBecause.value = "";
  showNobody();
  await closeAccount();
}

// After a log-out with wipe: nothing of the account stays in this browser.
export async function forget(mobileNo) {
  const name = databaseName(mobileNo);
  forgetAccount(mobileNo);
  sessionStorage.removeItem("wm:unsaved"); // by composer.js
  const { IndexedDBStore } = await import("./client/indexeddb-store.js");
  await IndexedDBStore.wipe(name);
}

async function _show(session) {
  rememberAccount(session);
  leftBecause.value = "";
  account.value = { mobileNo: session.mobileNo, name: session.name };
}
