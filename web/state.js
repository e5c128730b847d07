// What the views share. Signals: a view that reads one is drawn again when it changes.

import { rememberAccount, showNobody, shownAccount } from "./accounts.js";
import { route } from "./router.js";
import { computed, signal } from "./vendor/preact.js";

export const ready = signal(false); // whether it is known who is logged in
export const account = signal(null); // {mobileNo, name, about?}, or null: nobody is logged in
export const client = signal(null); // the client of clients/js; null while nobody is logged in
export const connection = signal({ name: "off" }); // state of the client: {name, until?, code?, reason?}
export const chats = signal(new Map()); // mobileNo -> what the list shows of a chat (see chats.js)
export const leftBecause = signal(""); // a sentence for the door: why somebody is not logged in any more

// The number of the open chat, or "".
export const openChat = computed(() => (route.value.view === "chat" ? route.value.arg : ""));

// Finds out who is logged in here. Called once, by app.js.
export async function begin() {
  const mobileNo = shownAccount();
  if (mobileNo) await resume(mobileNo);
  ready.value = true;
}

// The door calls this after a log-in or sign-up, with the session as the client keeps it:
// {url, mobileNo, id, name, deviceId, token, expiresAt, refreshToken, refreshExpiresAt}.
export async function enter(session) {
  rememberAccount(session);
  leftBecause.value = "";
  account.value = { mobileNo: session.mobileNo, name: session.name };
}

// The door calls this when somebody chooses an account that this browser knows.
export async function resume(mobileNo) {
  rememberAccount({ mobileNo, name: mobileNo });
}

// This tab is logged out, or shows somebody else from now on. What is kept stays kept.
export async function leave(why = "") {
  showNobody();
  leftBecause.value = why;
  account.value = null;
}
