// One of the two phones: the frame with the real page in it, what is known of it, and what is done to it.

import { IndexedDBStore } from "/web/client/index.js";

const LOOK_MS = 100;
const START_MS = 20_000;
const TRIES = 12; // to get to another server than the other phone: with three servers it takes 1.5 on average
const ONLINE_MS = 15_000;
const READ_MS = 2_000; // how long a screenful of new messages is looked at
const OWN_MS = 15_000; // somebody who has just used this phone by hand scrolls for themselves

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Phone {
  // name: "a" or "b". person, other: {phone, name, mobileNo}. on.frame({direction, frame}); on.changed(): its server,
  // its connection or its cable is another one.
  constructor(name, person, other, iframe, on) {
    Object.assign(this, { name, person, other, iframe, on });
    this.serverId = ""; // as the last hello said
    this.store = null; // what its page keeps
    this.people = null; // web/people.js of its page
    this.shown = "";
    addEventListener("demo:entered", ({ detail }) => detail.phone === name && this.#entered(detail));
    addEventListener("demo:begun", ({ detail }) => detail.phone === name && (this.people = detail));
    this.usedAt = -OWN_MS;
    setInterval(() => this.#look(), LOOK_MS);
    setInterval(() => this.#read(), READ_MS);
  }

  get window() {
    return this.iframe.contentWindow;
  }

  get isOut() {
    return this.window.cable?.isOut ?? false;
  }

  // As in docs/clients.md.
  get state() {
    return this.window.wm?.state.name ?? "off";
  }

  get isOnline() {
    return this.state === "online" && !this.isOut;
  }

  async start() {
    this.iframe.src = `/demo/phone?profile=${this.name}#/chat/${this.other.mobileNo}`;
    await this.#until(() => this.people && this.serverId && this.isOnline, START_MS, "did not get online");
  }

  // What this phone keeps of its chats. See counting.js.
  async read() {
    const { messages } = await this.store.exportAll();
    return { mobileNo: this.person.mobileNo, online: this.isOnline, rows: messages };
  }

  post(text) {
    return this.window.wm.send(this.other.mobileNo, text);
  }

  async postMany(count) {
    for (let n = 1; n <= count; n += 1) await this.post(`${n} of ${count}`);
  }

  pull() {
    this.window.cable.pull();
  }

  plugIn() {
    this.window.cable.plugIn();
  }

  get isBlocking() {
    return this.people.blocked.value.has(this.other.mobileNo);
  }

  block(yes) {
    return this.people.setBlocked(this.other.mobileNo, yes);
  }

  // Connects anew until its server is not the other phone's.
  async leave(otherPhone) {
    for (let n = 0; n < TRIES && this.serverId === otherPhone.serverId; n += 1) {
      this.serverId = "";
      this.window.cable.lose();
      await this.#until(() => this.state !== "online", ONLINE_MS, "kept its connection");
      this.window.dispatchEvent(new Event("online")); // a page that is told so does not pause
      await this.#until(() => this.serverId, ONLINE_MS, "did not connect again");
    }
  }

  // Its page is about to begin: see enter.js.
  async #entered({ window: its, database }) {
    its.addEventListener("wm:frame", ({ detail }) => this.#took(detail));
    const used = () => (this.usedAt = performance.now());
    for (const how of ["wheel", "pointerdown", "keydown"]) its.addEventListener(how, used, { passive: true });
    this.store = await IndexedDBStore.open(database);
  }

  #took({ direction, frame }) {
    if (frame.type === "hello") this.serverId = frame.serverId;
    this.on.frame({ direction, frame });
    this.#look();
  }

  #look() {
    const now = `${this.serverId} ${this.state} ${this.isOut} ${this.people && this.isBlocking}`;
    if (now === this.shown) return;
    this.shown = now;
    this.on.changed();
  }

  // Its person reads on. After more than a screenful the page waits for that, and counts as read only what was seen.
  #read() {
    if (performance.now() - this.usedAt > OWN_MS) this.window.document?.querySelector("#newer.unread")?.click();
  }

  async #until(done, ms, problem) {
    const end = performance.now() + ms;
    while (!done()) {
      if (performance.now() > end) throw new Error(`${this.person.name}’s phone ${problem}.`);
      await sleep(LOOK_MS);
    }
  }
}
