// What became of each message, from what the two phones keep and what waits in the mailboxes. No clock and no page here:
// times are arguments, so that a test can say what it likes.
//
// A phone: {mobileNo, rows, online}. rows: what its history has: {id, peer, mine, state, n}; n: the order in which the
// phone got to know them. A mailbox: {waiting, withheld}, sets of messageIds. Both are null while they are not known.

const ACCEPTED = new Set(["sent", "expired", "delivered", "read"]);
const ARRIVED = new Set(["delivered", "read"]);
const PATIENCE_MS = 5_000;

const byN = (a, b) => a.n - b.n;

// The messages of one person to the other. It remembers what it saw: a chat that somebody clears is not lost.
class Direction {
  constructor() {
    this.sent = new Map(); // messageId -> {place, state}
    this.arrived = new Set();
    this.missingSince = new Map(); // messageId -> ms
    this.lost = new Set();
    this.ignored = new Set(); // what had arrived before this page was opened, and was cleared since
    this.doubled = 0;
    this.disordered = 0;
  }

  look(now, from, to, mailbox, isFirst) {
    const written = from.rows.filter((row) => row.mine && row.peer === to.mobileNo);
    const got = to.rows.filter((row) => !row.mine && row.peer === from.mobileNo).sort(byN);
    for (const { id, state, n } of written) this.sent.set(id, { state, place: n });
    for (const { id } of got) this.arrived.add(id);
    if (isFirst) {
      for (const { id, state } of written) if (ARRIVED.has(state) && !this.arrived.has(id)) this.ignored.add(id);
    }
    this.#countTwice(got);
    this.#countDisorder(got);
    if (mailbox && to.online) this.#findMissing(now, mailbox);
    else this.missingSince.clear(); // nobody can know
  }

  #countTwice(got) {
    const seen = new Set();
    let twice = 0;
    for (const { id } of got) {
      if (seen.has(id)) twice += 1;
      seen.add(id);
    }
    this.doubled = Math.max(this.doubled, twice);
  }

  // Those that came after one that was written later.
  #countDisorder(got) {
    let latest = -1;
    let behind = 0;
    const counted = new Set();
    for (const { id } of got) {
      const place = this.sent.get(id)?.place;
      if (place === undefined || counted.has(id)) continue;
      counted.add(id);
      if (place < latest) behind += 1;
      latest = Math.max(latest, place);
    }
    this.disordered = Math.max(this.disordered, behind);
  }

  // Accepted by a server, and now neither with the recipient, who is online, nor in the mailbox.
  #findMissing(now, { waiting, withheld }) {
    for (const [id, { state }] of this.sent) {
      const isThere = this.arrived.has(id) || waiting.has(id) || withheld.has(id) || this.ignored.has(id);
      if (isThere || !ACCEPTED.has(state)) {
        this.missingSince.delete(id);
        this.lost.delete(id);
      } else {
        if (!this.missingSince.has(id)) this.missingSince.set(id, now);
        if (now - this.missingSince.get(id) > PATIENCE_MS) this.lost.add(id);
      }
    }
  }

  totals(withheld) {
    const found = { sent: 0, inPhone: 0, inMailbox: 0, delivered: 0, withheld: 0, failed: 0, lost: 0 };
    for (const [id, { state }] of this.sent) {
      if (this.ignored.has(id)) continue;
      if (ACCEPTED.has(state) || this.arrived.has(id)) found.sent += 1;
      if (this.arrived.has(id)) found.delivered += 1;
      else if (state === "failed") found.failed += 1;
      else if (state === "waiting") found.inPhone += 1;
      else if (withheld.has(id)) found.withheld += 1;
      else if (this.lost.has(id)) found.lost += 1;
      else found.inMailbox += 1;
    }
    return { ...found, doubled: this.doubled, disordered: this.disordered };
  }
}

export class Counter {
  constructor() {
    this.directions = { ab: new Direction(), ba: new Direction() };
    this.isFirst = true;
  }

  // One look; gives the totals of both directions together.
  look(now, phones, mailboxes) {
    const { ab, ba } = this.directions;
    ab.look(now, phones.a, phones.b, mailboxes.b, this.isFirst);
    ba.look(now, phones.b, phones.a, mailboxes.a, this.isFirst);
    this.isFirst = false;
    const none = new Set();
    const [one, other] = [ab.totals(mailboxes.b?.withheld ?? none), ba.totals(mailboxes.a?.withheld ?? none)];
    return Object.fromEntries(Object.keys(one).map((key) => [key, one[key] + other[key]]));
  }
}
