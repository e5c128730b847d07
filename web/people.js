// Other people: who is online, who types, what they are called, and who is blocked.

import { blockedBy, noteBlocked, shownAccount } from "./accounts.js";
import { byLeader, client, connection, on, share, store } from "./opened.js";
import { signal } from "./vendor/preact.js";

const WATCHED = 100; // of at most 200 on a connection
const NAMES_AT_ONCE = 100;
const NAMES_AGAIN_MS = 30_000; // after a refusal that does not say when

export const presence = signal(new Map()); // mobileNo -> {online, lastSeen?}
export const typing = signal(new Set()); // of mobileNo
export const blocked = signal(new Set());
export const abouts = signal(new Map()); // mobileNo -> a line about themselves

let watched = []; // the one asked for last is the last
const asked = new Set(); // whose name was asked for
let askAgainAt = 0; // ms; a refusal said so

on("opened", (mobileNo) => {
  [presence.value, typing.value, abouts.value] = [new Map(), new Set(), new Map()];
  blocked.value = new Set(blockedBy(mobileNo));
  watched = [];
  asked.clear();
  askAgainAt = 0;
});
on("lead", () => client.value?.watch(watched));
on("presence", ({ mobileNo, ...how }) => (presence.value = new Map(presence.value).set(mobileNo, how)));
on("typing", ({ peer, active }) => {
  const now = new Set(typing.value);
  now[active ? "add" : "delete"](peer);
  typing.value = now;
});
on("state", ({ name }) => {
  if (name === "online") getBlocked();
  else if (presence.value.size || typing.value.size) [presence.value, typing.value] = [new Map(), new Set()];
});
on("removed", (peers) => peers.forEach((peer) => asked.delete(peer)));
on("blocked", showBlocked);
on("asked", () => {
  for (const [mobileNo, how] of presence.value) share("presence", { mobileNo, ...how });
});

// Their presence is shown from now on. The server takes 200 on a connection, so those asked for long ago are dropped.
export function watch(numbers) {
  const fresh = numbers.filter((number) => !watched.includes(number));
  if (!fresh.length) return;
  watched.push(...fresh);
  const dropped = watched.splice(0, Math.max(0, watched.length - WATCHED));
  if (dropped.length) byLeader("unwatch", dropped);
  byLeader("watch", fresh);
}

// Asks for the names of these chats' people, once while the page lives: somebody may have another name since. Without a
// connection they stay what they were.
export async function learnNames(chats) {
  const fresh = chats.filter(({ peer }) => !asked.has(peer)).slice(0, NAMES_AT_ONCE);
  if (!fresh.length || connection.value.name !== "online" || performance.now() < askAgainAt) return;
  const numbers = fresh.map(({ peer }) => peer);
  for (const number of numbers) asked.add(number);
  const people = await attempt(() => client.value.api.lookup(numbers), namesRefused);
  if (!people) return void numbers.forEach((number) => asked.delete(number));
  const names = new Map(fresh.map(({ peer, name }) => [peer, name]));
  for (const { mobileNo, name, about = "" } of people.data) {
    learnAbout(mobileNo, about);
    if (name !== names.get(mobileNo)) await store.value?.setName(mobileNo, name);
  }
}

// Somebody whom a look-up found: their chat is in the list from now on.
export async function begin({ mobileNo, name, about = "" }) {
  asked.add(mobileNo);
  learnAbout(mobileNo, about);
  await store.value.describe(mobileNo, { name, at: Date.now() });
}

const learnAbout = (mobileNo, about) => (abouts.value = new Map(abouts.value).set(mobileNo, about));

// While messages come the list changes all the time: without this each change would ask again.
function namesRefused({ retryAfter }) {
  askAgainAt = performance.now() + (retryAfter ? retryAfter * 1000 : NAMES_AGAIN_MS);
}

// The answer, or null after a refusal, of which nothing needs to be said: it is asked again later.
async function attempt(ask, refused) {
  try {
    return await ask();
  } catch (error) {
    if (error.status === undefined) throw error;
    refused?.(error);
    return null;
  }
}

async function getBlocked() {
  const people = await attempt(() => client.value.api.blocked());
  if (people) showBlocked(people.map(({ mobileNo }) => mobileNo));
}

function showBlocked(numbers) {
  blocked.value = new Set(numbers);
  noteBlocked(shownAccount(), numbers);
}

// Throws ApiError.
export async function setBlocked(mobileNo, yes) {
  await client.value.api[yes ? "block" : "unblock"](mobileNo);
  const others = [...blocked.value].filter((number) => number !== mobileNo);
  share("blocked", yes ? [...others, mobileNo] : others);
}
