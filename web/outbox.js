// Sends what waits, and sends it again, under the same messageId, until the server has answered.

const IN_FLIGHT = 32;
const ANSWER_MS = 10_000;
const LONGEST_MS = 60_000;

export class Outbox {
  constructor(memory, line) {
    this.memory = memory;
    this.line = line;
    this.inFlight = new Map(); // messageId: when it was sent
    this.held = new Map(); // mobile: {until, times}; a refusal for later holds the whole conversation, to keep its order
  }

  // A new connection: nothing that was sent on the old one can be answered any more.
  again() {
    this.inFlight.clear();
    this.pump();
  }

  pump() {
    if (!this.line.ready) return;
    const now = Date.now();
    for (const { to, message } of this.memory.waiting()) {
      if (this.inFlight.size >= IN_FLIGHT) return;
      if (this.inFlight.has(message.id) || this.held.get(to)?.until > now) continue;
      this.line.send({ type: "chat", to, messageId: message.id, message: message.text });
      this.inFlight.set(message.id, now);
    }
  }

  answered(to, ids) {
    for (const id of ids) this.inFlight.delete(id);
    this.held.delete(to);
  }

  // An error that names a chat. Returns whose conversation it is in, or null.
  refused({ messageId, message, retryable, retryAfter }) {
    this.inFlight.delete(messageId);
    const found = this.memory.find(messageId);
    if (!found || found.message.state !== "waiting") return null;
    found.message.why = message;
    if (retryable) this._hold(found.to, retryAfter ?? 1);
    else found.message.state = "failed";
    return found.to;
  }

  _hold(to, seconds) {
    const { times, until } = this.held.get(to) ?? { times: 0, until: 0 };
    if (until > Date.now()) return; // all that was in flight is refused at once: that counts as one time
    const wait = Math.min(LONGEST_MS, seconds * 1000 * 2 ** times) * (0.5 + Math.random() / 2);
    this.held.set(to, { until: Date.now() + wait, times: times + 1 });
  }

  // Whether the server owes an answer for too long.
  stuck() {
    const oldest = Math.min(...this.inFlight.values());
    return Date.now() - oldest > ANSWER_MS;
  }
}
