// One person, logged in: joins the line, the memory, the outbox and the screen.

import * as api from "./api.js";
import { Line } from "./line.js";
import { Memory } from "./memory.js";
import { Outbox } from "./outbox.js";
import { People } from "./people.js";
import { $, drawChat, drawList, sayLine } from "./view.js";

const READ_AT_ONCE = 100;
const SOON_MS = 30;
const RELOGIN = new Set([401, 4501, 4509]);
const encoder = new TextEncoder();

const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");

export class Talk {
  constructor(me, onLeave) {
    this.me = me;
    this.onLeave = onLeave;
    this.memory = new Memory(me.mobile, () => ($("write-note").textContent = "This tab’s storage is full: a reload would lose what is new."));
    this.line = new Line(me.token, { state: (s) => this.stateIs(s), frames: (f) => this.take(f) });
    this.outbox = new Outbox(this.memory, this.line);
    this.people = new People(me.token, this.memory, () => this.draw(), (error) => this.refused(error));
    this.open = "";
    this.maxBytes = 16 * 1024; // until hello tells
    this.ended = new AbortController();
  }

  begin() {
    $("my-name").textContent = this.me.name;
    $("my-mobile").textContent = this.me.mobile;
    this.choose("");
    this.people.begin();
    this.listen();
    this.ticking = setInterval(() => this.tick(), 1_000);
    this.line.connect();
  }

  leave(why) {
    this.ended.abort();
    clearInterval(this.ticking);
    this.people.end();
    this.line.stop();
    this.onLeave(why);
  }

  listen() {
    const on = (target, event, doIt) => target.addEventListener(event, doIt, { signal: this.ended.signal });
    const form = (id, doIt) => on($(id), "submit", (event) => (event.preventDefault(), doIt()));
    form("find", () => this.find());
    form("write", () => this.write());
    on($("text"), "keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.write();
    });
    on($("back"), "click", () => this.choose(""));
    on($("block"), "click", () => this.people.toggleBlock(this.open));
    on($("logout"), "click", () => this.logOut());
    on(document, "visibilitychange", () => this.draw());
    on(window, "online", () => this.state?.phase === "pausing" && this.line.connect());
    on(window, "offline", () => this.state?.phase === "open" && this.line.giveUp("This device is offline."));
  }

  tick() {
    if (this.line.ready && this.outbox.stuck()) this.line.giveUp("The server did not answer.");
    this.outbox.pump();
    this.sayState();
  }

  // -- what the server says

  take(frames) {
    const streamIds = [];
    for (const frame of frames) {
      this[`on_${frame.type}`]?.(frame);
      if (frame.streamId) streamIds.push(frame.streamId);
    }
    if (streamIds.length) {
      this.memory.save(); // before the ack: what is acked is gone from the server
      this.line.send({ type: "ack", ackType: "delivered", streamIds });
    }
    this.outbox.pump();
    this.draw();
  }

  on_hello({ epoch, maxMessageBytes }) {
    this.maxBytes = maxMessageBytes;
    if (this.epoch && this.epoch !== epoch) this.memory.forgetStreamIds();
    this.epoch = epoch;
    this.outbox.again();
  }

  on_resync({ epoch }) {
    this.epoch = epoch;
    this.memory.forgetStreamIds();
    this.outbox.again();
  }

  on_chat({ from, messageId: id, message: text, timestamp: time, streamId }) {
    this.memory.add(from, { id, mine: false, text, time, state: "new", streamId });
    this.people.name(from);
  }

  on_sent({ to, messageId, timestamp }) {
    this.outbox.answered(to, [messageId]);
    this.memory.raise(to, [messageId], "sent", timestamp);
  }

  on_ack({ from, messageIds, ackType, timestamp }) {
    this.outbox.answered(from, messageIds);
    this.memory.raise(from, messageIds, ackType, timestamp);
  }

  on_error(frame) {
    if (frame.messageId) this.outbox.refused(frame);
    else if (frame.code !== "draining") $("write-note").textContent = frame.message;
  }

  // -- what the person does

  async find() {
    $("find-note").textContent = "";
    const mobile = await this.people.find($("find-mobile").value);
    if (!mobile) return;
    this.memory.save();
    $("find").reset();
    this.choose(mobile);
  }

  choose(mobile) {
    this.open = mobile;
    $("house").dataset.view = mobile ? "chat" : "list";
    $("write-note").textContent = "";
    this.people.watch(mobile);
    this.paint();
    if (mobile) $("text").focus();
    else $("find-mobile").focus();
  }

  write() {
    const text = $("text").value;
    if (!this.open || !text.trim()) return;
    const size = encoder.encode(text).length;
    $("write-note").textContent = size > this.maxBytes ? `Too long: ${size} bytes of at most ${this.maxBytes}.` : "";
    if (size > this.maxBytes) return;
    this.memory.add(this.open, { id: newId(), mine: true, text, time: Date.now(), state: "waiting" });
    this.memory.save();
    $("text").value = "";
    this.outbox.pump();
    this.draw();
  }

  // Read is what is on a screen somebody can see.
  markRead() {
    if (!this.open || document.visibilityState !== "visible" || !this.line.ready) return;
    const unread = this.memory.unread(this.open);
    for (let i = 0; i < unread.length; i += READ_AT_ONCE) {
      const some = unread.slice(i, i + READ_AT_ONCE);
      this.line.send({ type: "ack", ackType: "read", to: this.open, messageIds: some.map((m) => m.id) });
      for (const message of some) message.state = "read";
    }
  }

  async logOut() {
    const count = this.memory.waiting().length;
    if (count && !confirm(`${count} message(s) were not sent yet and will be lost. Log out?`)) return;
    this.line.stop();
    try {
      await api.logOut(this.me.token);
      this.leave("");
    } catch (error) {
      this.leave(error.status === 401 ? "" : `Logged out here, but the server was not told: ${error.message}`);
    }
    this.memory.erase(); // last: until it left, this object may save
  }

  refused(error) {
    if (error.status === 401) this.leave(error.message);
  }

  // -- what is shown

  // Soon: a thousand frames in a second need not be painted, or saved, a thousand times.
  draw() {
    this.drawing ??= setTimeout(() => this.paint(), SOON_MS);
  }

  paint() {
    clearTimeout(this.drawing);
    this.drawing = null;
    if (this.ended.signal.aborted) return;
    this.markRead();
    this.memory.save();
    const unread = (mobile) => this.memory.unread(mobile).length;
    const total = Object.keys(this.memory.chats).reduce((sum, mobile) => sum + unread(mobile), 0);
    document.title = `${total ? `(${total}) ` : ""}${this.me.name}, WhatsApp Mini`;
    drawList(this.memory.chats, this.open, unread, (mobile) => this.choose(mobile));
    $("chat").hidden = !this.open;
    $("nobody").hidden = Boolean(this.open);
    if (!this.open) return;
    const chat = this.memory.chat(this.open);
    $("chat-name").textContent = chat.name ? `${chat.name} (${this.open})` : this.open;
    $("block").textContent = this.people.blocked.has(this.open) ? "Unblock" : "Block";
    drawChat(this.open, chat.messages);
  }

  stateIs(state) {
    this.state = state;
    this.people.lineIs(state.phase === "open");
    if (state.phase === "stopped" && RELOGIN.has(state.code)) this.leave(`You were logged out: ${state.why}`);
    else this.sayState();
  }

  sayState() {
    const { phase, why, until, code } = this.state ?? {};
    const again = () => this.line.connect();
    if (phase === "open") sayLine("");
    else if (phase === "connecting") sayLine("Connecting …");
    else if (phase === "stopped") sayLine(`Not connected: ${why} (${code}).`, code === 4508 ? "Use it here" : "Connect", again);
    else if (phase === "pausing") {
      const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
      sayLine(`${why} Trying again in ${seconds} s. What you write now is sent then.`, "Try now", again);
    }
  }
}
