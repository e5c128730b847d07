// Other people: their names, last seen, and whom this person blocked.

import * as api from "./api.js";
import { $, sayLastSeen } from "./view.js";

const SEEN_MS = 10_000;

export class People {
  constructor({ token, mobile }, memory, onChange, onRefused) {
    this.token = token;
    this.mine = mobile;
    this.memory = memory;
    this.onChange = onChange;
    this.onRefused = onRefused; // gets the ApiError
    this.blocked = new Set();
    this.asked = new Set(); // people whose name was requested
    this.watched = "";
    this.connected = false;
    this.focused = () => this.see();
  }

  begin() {
    window.addEventListener("focus", this.focused);
    this.seeing = setInterval(() => this.see(), SEEN_MS);
  }

  // Without a connection nothing is shown about others: it may be out of date.
  async lineIs(connected) {
    if (connected === this.connected) return;
    this.connected = connected;
    $("chat-seen").textContent = "";
    if (!connected) return;
    this.see();
    const people = await this._try(() => api.blocked(this.token));
    if (!people) return;
    this.blocked = new Set(people.map((person) => person.mobileNo));
    this.onChange();
  }

  end() {
    this.watched = "";
    window.removeEventListener("focus", this.focused);
    clearInterval(this.seeing);
  }

  // The number as the server writes it, or nothing when nobody has it.
  async find(written) {
    const note = $("find-note");
    const isMine = (mobile) => mobile === this.mine && ((note.textContent = "This is your own number."), true);
    if (isMine(written.replace(/\D/g, "").replace(/^00/, ""))) return "";
    const person = await this._try(() => api.lastSeen(this.token, written), note);
    if (!person || isMine(person.mobileNo)) return ""; // the server knows more ways to write a number
    this.memory.chat(person.mobileNo).name = person.username;
    return person.mobileNo;
  }

  async name(mobile) {
    const chat = this.memory.chat(mobile);
    if (chat.name || this.asked.has(mobile)) return;
    this.asked.add(mobile);
    const person = await this._try(() => api.lastSeen(this.token, mobile));
    if (!person) return void this.asked.delete(mobile);
    chat.name = person.username;
    this.memory.save();
    this.onChange();
  }

  watch(mobile) {
    this.watched = mobile;
    $("chat-seen").textContent = "";
    this.see();
  }

  async see() {
    const mobile = this.watched;
    if (!mobile || !this.connected || document.visibilityState !== "visible") return;
    const person = await this._try(() => api.lastSeen(this.token, mobile));
    if (mobile !== this.watched || !this.connected) return;
    if (person) sayLastSeen(person.lastSeen);
    else $("chat-seen").textContent = ""; // show nothing rather than something old
  }

  async toggleBlock(mobile) {
    const has = this.blocked.has(mobile);
    $("block").disabled = true;
    const done = await this._try(() => (has ? api.unblock : api.block)(this.token, mobile), $("write-note"));
    $("block").disabled = false;
    if (done && has) this.blocked.delete(mobile);
    else if (done) this.blocked.add(mobile);
    this.onChange();
  }

  // The response, or null after an error, which is shown in `note` if given.
  async _try(ask, note) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      if (note) note.textContent = error.message;
      this.onRefused(error);
      return null;
    }
  }
}
