// The account that is open in this tab: its store, its client, and what the tabs of the account tell each other.
//
// Every tab has a client on the same store. Only the leader's is started; the others keep what they send and read in
// the store, and tell the leader to look.

import { BASE, databaseName } from "./accounts.js";
import { Tabs } from "./tabs.js";
import { signal } from "./vendor/preact.js";

export const store = signal(null);
export const client = signal(null);
export const connection = signal({ name: "off" }); // state of the leader's client: {name, until?, code?, reason?}

// What happened, in every tab: the leader's events by their names, "changed" (peers) after each write to the store by
// any tab, "told" for what else tabs tell each other.
const listeners = new Map();
export const on = (name, listen) => listeners.set(name, [...(listeners.get(name) ?? []), listen]);
const emit = (name, detail) => (listeners.get(name) ?? []).forEach((listen) => listen(detail));

const FOR_ALL = ["presence", "typing", "message", "notice"];
let tabs = null;
let onEnd = () => undefined;

// Gives the session, or null where there is none. With `session`, that one is kept first. ended(code): the session
// ended, here or in another tab.
export async function openAccount(mobileNo, ended, session = null) {
  const name = databaseName(mobileNo);
  // The door does without. What listens to what happens here has to be there before.
  const [{ Client }, { IndexedDBStore }] = await Promise.all([import("./client/client.js"), import("./client/indexeddb-store.js"), import("./chats.js")]);
  const kept = await IndexedDBStore.open(name);
  if (session) await kept.saveSession(session);
  const { session: found } = await kept.load();
  if (!found) {
    await kept.close();
    return null;
  }
  onEnd = ended;
  const made = new Client(BASE, { store: kept });
  kept.changed = (peers) => {
    emit("changed", peers);
    tabs?.tell({ name: "changed", detail: peers });
  };
  for (const event of FOR_ALL) made.on(event, (detail) => share(event, detail));
  made.on("frame", (detail) => dispatchEvent(new CustomEvent("wm:frame", { detail })));
  made.on("state", (state) => (state.name === "loggedOut" ? onEnd(state.code) : tabs?.leads && share("state", state)));
  [store.value, client.value, connection.value] = [kept, made, { name: "connecting" }];
  tabs = new Tabs(name, { onLead: () => lead(made), onTold });
  tabs.tell({ name: "ask" });
  emit("opened", found.mobileNo);
  return found;
}

// code: the session has ended by it, and the other tabs hear that; without it only this tab goes.
export async function closeAccount(code) {
  const [made, kept, mine] = [client.value, store.value, tabs];
  if (!mine) return;
  [store.value, client.value, connection.value, tabs] = [null, null, { name: "off" }, null];
  if (code !== undefined) mine.tell({ name: "ended", detail: code });
  emit("closed");
  await made.stop({ seconds: 2 });
  mine.end();
  await kept.close();
}

// Tells all tabs, this one too.
export function share(name, detail) {
  onTold({ name, detail });
  tabs?.tell({ name, detail });
}

// A write to the store that the leader has to send: what the client of this tab kept, another one's may send.
export function sendSoon() {
  if (tabs && !tabs.leads) tabs.tell({ name: "outbox" });
}

// By the leader, wherever that is: connectNow, typing, watch, unwatch.
export function byLeader(method, ...args) {
  if (tabs?.leads) client.value[method](...args);
  else tabs?.tell({ name: "do", detail: { method, args } });
}

async function lead(made) {
  emit("lead");
  try {
    await made.start();
  } catch (error) {
    connection.value = { name: "stopped", code: error.code ?? "", reason: error.message };
    if (error.status === undefined) throw error; // no refusal of the server's, but a fault of ours
  }
}

const BY_LEADER = {
  ask: () => (tabs.tell({ name: "state", detail: connection.value }), emit("asked")),
  outbox: () => client.value.outboxChanged(),
  do: ({ method, args }) => client.value[method](...args),
};

function onTold({ name, detail }) {
  if (!tabs) return;
  if (name in BY_LEADER) {
    if (tabs.leads) BY_LEADER[name](detail);
  } else if (name === "ended") onEnd(detail);
  else {
    if (name === "state") connection.value = detail;
    emit(name, detail);
  }
}
