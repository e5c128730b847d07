// What this tab knows, in sessionStorage: a reload loses nothing, and two tabs can be two people.
// A chat: {name, messages, draft?, opened?}; opened: when somebody opened it to write, in ms.
// A message: {id, mine, text, time, state, why?, code?, tries?, streamId?}. States of mine are below; theirs are "new" or
// "read"; why and code are those of the error; tries: how often it was sent without an answer.

import { BASE } from "./api.js";

const KEEP = 1_000; // messages of one conversation; unsent and unread ones are always kept
const OPEN = new Set(["waiting", "new"]);
const RANK = { waiting: 0, failed: 0, sent: 1, expired: 2, delivered: 3, read: 4 };
const KEY = `wm:${BASE.pathname}`; // another path of the same host may be another server
const SESSION = `${KEY}session`;

export const session = {
  load: () => JSON.parse(sessionStorage.getItem(SESSION)),
  save: (value) => sessionStorage.setItem(SESSION, JSON.stringify(value)),
  clear: () => sessionStorage.removeItem(SESSION),
};

export class Memory {
  constructor(mobile, onFull) {
    this.key = `${KEY}account:${mobile}`;
    this.onFull = onFull;
    this.chats = JSON.parse(sessionStorage.getItem(this.key)) ?? {};
  }

  chat(mobile) {
    this.chats[mobile] ??= { name: "", messages: [] };
    return this.chats[mobile];
  }

  // False when it is known already: redelivered (same streamId) or sent again (same messageId).
  add(mobile, message) {
    const { messages } = this.chat(mobile);
    const same = (m) => m.mine === message.mine && (m.id === message.id || (m.streamId && m.streamId === message.streamId));
    if (messages.some(same)) return false;
    messages.push(message);
    const excess = messages.length - KEEP;
    if (excess > 0) {
      const old = messages.slice(0, excess).filter((m) => OPEN.has(m.state));
      messages.splice(0, excess, ...old);
    }
    return true;
  }

  remove(mobile, message) {
    const chat = this.chat(mobile);
    chat.messages = chat.messages.filter((m) => m !== message);
  }

  // Ticks only move forward.
  raise(mobile, ids, state, time) {
    for (const m of this.chats[mobile]?.messages ?? []) {
      if (!m.mine || !ids.includes(m.id) || RANK[state] <= RANK[m.state]) continue;
      m.state = state;
      for (const of of ["why", "code", "tries"]) delete m[of];
      if (state === "sent") m.time = time;
    }
  }

  find(id) {
    for (const [to, chat] of Object.entries(this.chats)) {
      const message = chat.messages.find((m) => m.mine && m.id === id);
      if (message) return { to, message };
    }
    return null;
  }

  // The outbox: messages without an answer, in the order of writing.
  waiting() {
    return Object.entries(this.chats).flatMap(([to, chat]) =>
      chat.messages.filter((m) => m.mine && m.state === "waiting").map((message) => ({ to, message })),
    );
  }

  isWaiting(mobile) {
    return this.chat(mobile).messages.some((m) => m.mine && m.state === "waiting");
  }

  unread(mobile) {
    return this.chat(mobile).messages.filter((m) => !m.mine && m.state === "new");
  }

  forgetStreamIds() {
    for (const chat of Object.values(this.chats)) for (const m of chat.messages) delete m.streamId;
  }

  save() {
    try {
      sessionStorage.setItem(this.key, JSON.stringify(this.chats));
    } catch {
      this.onFull(); // it is on the screen, but a reload would lose it: tell the person
    }
  }

  erase() {
    sessionStorage.removeItem(this.key);
  }
}
