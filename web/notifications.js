// Notifications: on request, while nobody looks at the page.

import { choicesOf } from "./accounts.js";
import { client, on, store } from "./opened.js";
import { go } from "./router.js";
import { account } from "./state.js";
import { signal } from "./vendor/preact.js";
import { readable } from "./words.js";
import { activeWorker } from "./worker.js";

const SEEN = "wm:seen"; // a lock that every tab holds while somebody can see it
const TOGETHER_MS = 300; // what comes within this time is told together
const MOST = 10; // chats with a notification of their own until somebody looks: any stranger can begin a chat

// "unsupported", or what the browser says: "default" (nobody was asked), "granted", "denied".
export const permission = signal(globalThis.Notification?.permission ?? "unsupported");

const choices = () => choicesOf(account.value.mobileNo);

export async function askPermission() {
  permission.value = await Notification.requestPermission();
  return permission.value === "granted";
}

let begun = false;

// Begins to tell of messages, where the person has asked for it. Every tab does; the tag makes one notification of them.
export function beginNotifications() {
  if (begun) return;
  begun = true;
  on("message", soon);
  holdWhileSeen();
  document.addEventListener("visibilitychange", holdWhileSeen);
}

const coming = new Map(); // chat -> what was written in it last
const told = new Set(); // chats with a notification
const others = new Set(); // chats of which one notification tells together
let timer = 0;

function soon({ peer, text }) {
  if (!account.value || !choices().notify) return;
  coming.set(peer, text);
  timer ||= setTimeout(tell, TOGETHER_MS);
}

async function tell() {
  timer = 0;
  const texts = [...coming];
  coming.clear();
  if (permission.value !== "granted" || (await isSeen()) || !account.value) return;
  const { showText } = choices();
  const chats = new Map((await store.value.chats()).map((chat) => [chat.peer, chat]));
  for (const [peer] of texts) (told.has(peer) || told.size < MOST ? told : others).add(peer);
  for (const [peer, text] of texts.filter(([peer]) => told.has(peer))) {
    const { name, unread } = chats.get(peer) ?? { unread: 1 };
    await show(peer, name || (await nameAtServer(peer)), showText ? text : unreadWords(unread));
  }
  if (texts.some(([peer]) => others.has(peer))) await show("", "WhatsApp Mini", moreWords(others.size));
}

// Of somebody who writes for the first time the list does not know the name yet.
async function nameAtServer(peer) {
  try {
    return (await client.value.api.lookup([peer])).data[0]?.name ?? readable(peer);
  } catch (error) {
    if (error.status === undefined) throw error;
    return readable(peer);
  }
}

// One for each chat: a newer one takes its place. What was written is in it only if the person has chosen that, for
// others may look at a locked screen.
async function show(peer, name, body) {
  const page = location.href.split("#")[0];
  const options = { body, tag: `${account.value.mobileNo}:${peer}`, icon: "web/icons/icon-192.png", data: { chat: peer, page } };
  const worker = activeWorker();
  if (worker) return void (await worker.showNotification(name, options)); // on phones the only way
  const shown = new Notification(name, options);
  shown.onclick = () => {
    focus();
    go("chat", peer);
    shown.close();
  };
}

const moreWords = (count) => `New messages in ${count} more ${count === 1 ? "chat" : "chats"}`;
const unreadWords = (count) => (count > 1 ? `${count} new messages` : "A new message");

let unsee = () => undefined;

function holdWhileSeen() {
  unsee();
  if (document.visibilityState !== "visible") return;
  for (const set of [told, others]) set.clear();
  const over = new Promise((resolve) => (unsee = resolve));
  navigator.locks?.request(SEEN, { mode: "shared" }, () => over);
}

// Whether any tab of the page is seen: somebody who looks at one needs no notification from another.
async function isSeen() {
  if (document.visibilityState === "visible") return true;
  const held = (await navigator.locks?.query())?.held ?? [];
  return held.some(({ name }) => name === SEEN);
}
