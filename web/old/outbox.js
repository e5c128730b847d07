// Sends messages, and sends them again under the same messageId until the server answers. A message that the server
// answers neither with `sent` nor with an error is given up after some tries: then the person decides.

const IN_FLIGHT = 32;
const ANSWER_MS = 10_000;
const LONGEST_MS = 60_000;
const LAST_ANSWERS_MS = 2_000; // after an error without a messageId: time for the answers still on their way
const ALONE = 2; // after so many tries a message is sent with no other in flight: what happens then is about it
const GIVE_UP = 5;
const NO_ANSWER = "The server gave no answer to it.";

export class Outbox {
  constructor(memory, line) {
    this.memory = memory;
    this.line = line;
    this.inFlight = new Map(); // messageId: {to, at}
    this.held = new Map(); // mobile: {until, times}; a retryable error holds the whole conversation, to keep its order
    this.pausedUntil = 0;
    this.doubtUntil = 0; // until then it is not known which message in flight failed, and nothing more is sent
  }

  // A new connection: answers for the old one will not come any more.
  again() {
    this._forgetFlights();
    this.pump();
  }

  // The connection closed. With blame, an unanswered message may be the reason.
  ended(blame) {
    if (blame) for (const id of this.inFlight.keys()) this._failed(id, 1, NO_ANSWER);
    this._forgetFlights();
  }

  pump() {
    const now = Date.now();
    if (!this.line.ready || now < this.pausedUntil) return;
    if (this.doubtUntil && this.inFlight.size && now < this.doubtUntil) return;
    if (this.doubtUntil) this._forgetFlights();
    for (const { to, message } of this.memory.waiting()) {
      if (this.inFlight.size >= IN_FLIGHT || this.isAlone) return;
      if (this.inFlight.has(message.id) || !this._mayGo(to, now)) continue;
      const alone = (message.tries ?? 0) >= ALONE;
      if (alone && this.inFlight.size) return;
      this.line.send({ type: "chat", to, messageId: message.id, message: message.text });
      this.inFlight.set(message.id, { to, at: now });
      this.isAlone = alone;
    }
  }

  // After the memory has stored it.
  answered(to, ids) {
    for (const id of ids) this._landed(id);
    if (!this.held.has(to)) return;
    if (this.memory.isWaiting(to)) this.held.set(to, { until: 0, times: 0 });
    else this.held.delete(to);
  }

  // An error that names a chat.
  refused({ messageId, code, message, retryable, retryAfter }) {
    this._landed(messageId);
    const found = this.memory.find(messageId);
    if (!found || found.message.state !== "waiting") return;
    found.message.why = message;
    found.message.code = code;
    if (retryable) this._hold(found.to, retryAfter ?? 1);
    else found.message.state = "failed";
  }

  // An error about some chat that names none.
  refusedUnnamed({ message, retryable, retryAfter }) {
    if (retryable) {
      this.pausedUntil = Date.now() + (retryAfter ?? 1) * 1000;
      this._forgetFlights();
      return;
    }
    const ids = [...this.inFlight.keys()];
    if (ids.length === 1) {
      this._landed(ids[0]);
      this._failed(ids[0], GIVE_UP - ALONE, message); // a clear answer counts more than no answer
    } else if (ids.length) {
      for (const id of ids) this._suspect(id);
      this.doubtUntil = Date.now() + LAST_ANSWERS_MS;
    }
  }

  // Whether an answer is overdue.
  stuck() {
    const oldest = Math.min(...[...this.inFlight.values()].map(({ at }) => at));
    return Date.now() - oldest > ANSWER_MS;
  }

  _forgetFlights() {
    this.inFlight.clear();
    this.isAlone = false;
    this.doubtUntil = 0;
  }

  _landed(id) {
    if (this.inFlight.delete(id)) this.isAlone = false;
  }

  // One at a time after a retryable error: of several, a later one could succeed where an earlier one did not.
  _mayGo(to, now) {
    const held = this.held.get(to);
    return !held || (held.until <= now && ![...this.inFlight.values()].some((flight) => flight.to === to));
  }

  _failed(id, count, why) {
    const message = this.memory.find(id)?.message;
    if (message?.state !== "waiting") return;
    message.tries = (message.tries ?? 0) + count;
    if (message.tries >= GIVE_UP) Object.assign(message, { state: "failed", why });
  }

  _suspect(id) {
    const message = this.memory.find(id)?.message;
    if (message?.state === "waiting") message.tries = Math.max(message.tries ?? 0, ALONE);
  }

  // Never shorter than the server said, and longer each time, so that clients do not retry at once.
  _hold(to, seconds) {
    const { times, until } = this.held.get(to) ?? { times: 0, until: 0 };
    if (until > Date.now()) return; // all messages in flight fail together: that counts once
    const least = seconds * 1000;
    const more = Math.max(250, Math.min(LONGEST_MS, least * 2 ** times) - least);
    this.held.set(to, { until: Date.now() + least + Math.random() * more, times: times + 1 });
  }
}
