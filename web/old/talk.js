// One person, logged in: connects the WebSocket, the memory, the outbox and the screen.

import * as api from "./api.js";
import { Line } from "./line.js";
import { clearLog, drawChat, follow, inView } from "./log.js";
import { Memory } from "./memory.js";
import { Outbox } from "./outbox.js";
import { People } from "./people.js";
import { $, clearList, drawList, focusRow, sayLine } from "./view.js";
import { Views } from "./views.js";

const READ_AT_ONCE = 100;
const SOON_MS = 30;
const DRAFT_MS = 500;
const MAX_FRAME_BYTES = 60_000; // of 64 KiB: what JSON writes as \u0001 is six times as long as the text
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
    this.people = new People(me, this.memory, () => this.draw(), (error) => this.refused(error));
    this.views = new Views(me.mobile);
    this.open = "";
    this.maxBytes = 16 * 1024; // until hello says
    this.ended = new AbortController();
  }

  begin() {
    $("my-name").textContent = this.me.name;
    $("my-mobile").textContent = this.me.mobile;
    clearLog();
    clearList();
    $("find").reset();
    $("find-note").textContent = "";
    this.showCurrent();
    this.people.begin();
    this.listen();
    this.ticking = setInterval(() => this.tick(), 1_000);
    this.line.connect();
  }

  leave(why) {
    this.ended.abort();
    clearInterval(this.ticking);
    clearTimeout(this.savingDraft);
    this.views.leave();
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
    on($("text"), "input", () => this.draft($("text").value));
    on($("back"), "click", () => this.views.back());
    on(window, "popstate", () => this.showCurrent());
    for (const id of ["block", "unblock"]) on($(id), "click", () => this.people.toggleBlock(this.open));
    on($("newer"), "click", () => follow(this.memory.chat(this.open).messages));
    on($("log"), "scroll", () => this.look());
    on($("logout"), "click", () => this.logOut());
    on(document, "visibilitychange", () => this.draw());
    for (const event of ["focus", "resize"]) on(window, event, () => this.look());
    on(window, "pagehide", () => this.memory.save());
    on(window, "online", () => this.state?.phase === "pausing" && this.line.connect());
    on(window, "offline", () => this.state?.phase === "open" && this.line.giveUp("This device is offline."));
  }

  tick() {
    if (this.line.ready && this.outbox.stuck()) this.line.giveUp("The server did not answer.", true);
    this.outbox.pump();
    this.sayState();
  }

  // -- from the server

  take(frames) {
    const streamIds = [];
    for (const frame of frames) {
      this[`on_${frame.type}`]?.(frame);
      if (frame.streamId) streamIds.push(frame.streamId);
    }
    if (streamIds.length) {
      this.memory.save(); // before the ack: acknowledged entries leave the server
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

  // What this person sent or read on another device.
  on_own({ to, messageId: id, message: text, timestamp: time, streamId }) {
    this.memory.add(to, { id, mine: true, text, time, state: "sent", streamId });
    this.people.name(to);
  }

  on_ownRead({ from, messageIds }) {
    for (const message of this.memory.unread(from)) if (messageIds.includes(message.id)) message.state = "read";
  }

  on_sent({ to, messageId, timestamp }) {
    this.memory.raise(to, [messageId], "sent", timestamp);
    this.outbox.answered(to, [messageId]);
  }

  on_ack({ from, messageIds, ackType, timestamp }) {
    this.memory.raise(from, messageIds, ackType, timestamp);
    this.outbox.answered(from, messageIds);
  }

  on_error(frame) {
    if (frame.messageId) this.outbox.refused(frame);
    else if (frame.component === "chat" || frame.component === "frame") this.outbox.refusedUnnamed(frame);
    else if (frame.code !== "draining") $("write-note").textContent = frame.message;
  }

  // -- from the person

  async find() {
    $("find-note").textContent = "";
    const mobile = await this.people.find($("find-mobile").value);
    if (!mobile) return;
    this.memory.chat(mobile).opened = Date.now();
    this.memory.save();
    $("find").reset();
    this.choose(mobile);
  }

  choose(mobile) {
    this.views.open(mobile);
    this.show(mobile);
  }

  // Follows the browser's history: after Back, Forward and a reload.
  showCurrent() {
    const mobile = this.views.current();
    this.show(mobile in this.memory.chats ? mobile : "");
  }

  show(mobile) {
    const before = this.open;
    this.open = mobile;
    $("house").dataset.view = mobile ? "chat" : "list";
    $("write-note").textContent = "";
    if (!mobile || mobile !== before) $("text").value = (mobile && this.memory.chat(mobile).draft) || "";
    this.people.watch(mobile);
    this.paint();
    if (mobile) $("text").focus();
    else if (before) focusRow(before);
    else $("find-mobile").focus();
  }

  // A draft belongs to its chat.
  draft(text) {
    if (!this.open) return;
    this.memory.chat(this.open).draft = text;
    clearTimeout(this.savingDraft);
    this.savingDraft = setTimeout(() => this.memory.save(), DRAFT_MS);
  }

  write() {
    // Half an emoji, with which a cut text may end, cannot be sent: show what the other person will see.
    const text = $("text").value.toWellFormed();
    if (!this.open || this.people.blocked.has(this.open) || !text.trim()) return;
    const size = encoder.encode(text).length;
    const tooLong = size > this.maxBytes || encoder.encode(JSON.stringify(text)).length > MAX_FRAME_BYTES;
    $("write-note").textContent = tooLong ? `Too long: ${size} bytes of at most ${this.maxBytes}, control characters counting more.` : "";
    if (tooLong) return;
    $("text").value = "";
    this.draft("");
    this.post({ id: newId(), text });
  }

  post({ id, text }) {
    this.memory.add(this.open, { id, mine: true, text, time: Date.now(), state: "waiting" });
    this.memory.save();
    this.outbox.pump();
    this.draw();
  }

  // A retried message goes to the end: later ones may have been sent.
  retry(message) {
    if (this.people.blocked.has(this.open)) return;
    this.memory.remove(this.open, message);
    // The same id if it may be stored already, so that it is not delivered twice.
    this.post({ id: message.code === "message_id_reused" ? newId() : message.id, text: message.text });
    $("text").focus();
  }

  takeBack(message) {
    this.memory.remove(this.open, message);
    const text = [message.text, $("text").value].filter(Boolean).join("\n");
    $("text").value = text;
    this.draft(text);
    this.draw();
    $("text").focus();
  }

  // Read means visible: in view, in the open chat, on a page in front.
  look() {
    if (!this.open) return;
    const unread = this.memory.unread(this.open);
    const seen = inView(unread);
    const below = unread.length - seen.length;
    $("newer").hidden = !below;
    $("newer").textContent = `${below} new`;
    if (!seen.length || document.visibilityState !== "visible" || !document.hasFocus() || !this.line.ready) return;
    for (let i = 0; i < seen.length; i += READ_AT_ONCE) {
      const some = seen.slice(i, i + READ_AT_ONCE);
      this.line.send({ type: "ack", ackType: "read", to: this.open, messageIds: some.map((m) => m.id) });
      for (const message of some) message.state = "read";
    }
    this.draw();
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
    this.memory.erase(); // last: this object may save until it has left
  }

  refused(error) {
    if (error.status === 401) this.leave(error.message);
  }

  // -- drawing

  // Soon: a thousand frames a second need not be drawn, or saved, a thousand times.
  draw() {
    this.drawing ??= setTimeout(() => this.paint(), SOON_MS);
  }

  paint() {
    clearTimeout(this.drawing);
    this.drawing = null;
    if (this.ended.signal.aborted) return;
    if (this.open) this.paintChat();
    $("chat").hidden = !this.open;
    $("nobody").hidden = Boolean(this.open);
    this.memory.save();
    const unread = (mobile) => this.memory.unread(mobile).length;
    const total = Object.keys(this.memory.chats).reduce((sum, mobile) => sum + unread(mobile), 0);
    document.title = `${total ? `(${total}) ` : ""}${this.me.name}, WhatsApp Mini`;
    drawList(this.memory.chats, this.open, unread, (mobile) => this.choose(mobile));
  }

  paintChat() {
    const chat = this.memory.chat(this.open);
    const blocked = this.people.blocked.has(this.open);
    $("chat").hidden = false; // before the messages: an element without a size cannot be scrolled
    $("chat-name").textContent = chat.name ? `${chat.name} (${this.open})` : this.open;
    $("block").textContent = blocked ? "Unblock" : "Block";
    $("write").hidden = blocked;
    $("blocked").hidden = !blocked;
    drawChat(this.open, chat.messages, { retry: (message) => this.retry(message), takeBack: (message) => this.takeBack(message) });
    this.look();
  }

  stateIs(state) {
    this.state = state;
    if (state.phase === "pausing" || state.phase === "stopped") this.outbox.ended(state.blame);
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
