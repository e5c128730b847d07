// What is drawn of frames, mailboxes, servers and of what happens. Nothing here decides anything.

const MOST_LINES = 100;
const GONE_MS = 700; // how long an entry that left is still shown, so that somebody can see it
const KILLED_MS = 10_000; // unless its successor comes sooner
const FRESH_MS = 3_000;
const WORDS = { entry: "look into the mailbox", replaced: "a newer connection holds the device", devices: "another device is there" };
const OTHER_WORDS = { presence: "somebody you watch came or went", typing: "typing" };

// <tag class>parts</tag>; parts are texts and elements.
export function make(tag, className, ...parts) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...parts);
  return made;
}

// "vm.Sanic-Server-1-0.0deca1ba" is server 1, in its run 0deca1ba.
export function serverName(serverId) {
  const [, number] = /Server-(\d+)-/.exec(serverId) ?? [];
  return number === undefined ? serverId : `Server ${Number(number) + 1}`;
}

export const serverRun = (serverId) => serverId.split(".").at(-1);

const shortId = (id) => (id.length > 6 ? `…${id.slice(-4)}` : id);
const shortStream = (id) => `…${id.slice(7)}`;
const some = (ids, short) => (ids.length > 1 ? `${short(ids[0])} and ${ids.length - 1} more` : short(ids[0] ?? ""));
const quoted = (text) => `“${text}”`;

export function addLine(list, line) {
  list.prepend(line);
  if (list.childElementCount <= MOST_LINES) return;
  // What is rare stays while what is frequent goes.
  const oldest = [...list.children].reverse();
  (oldest.find((old) => !old.classList.contains("rare")) ?? oldest[0]).remove();
}

// -- frames

const FIELDS = {
  hello: ({ serverId }) => serverName(serverId),
  chat: ({ message, messageId }) => `${quoted(message)} ${shortId(messageId)}`,
  sent: ({ messageId }) => shortId(messageId),
  own: ({ message, messageId }) => `${quoted(message)} ${shortId(messageId)}`,
  ownRead: ({ messageIds }) => some(messageIds, shortId),
  synced: ({ count }) => `${count} waited`,
  presence: ({ online }) => (online ? "online" : "not online"),
  typing: ({ active }) => (active ? "types" : "stopped"),
  watch: ({ mobileNos }) => mobileNos.join(", "),
  error: ({ code, messageId }) => `${code} ${messageId ? shortId(messageId) : ""}`,
  resync: ({ reason }) => reason,
  ack({ ackType, streamId, streamIds, messageIds }, direction) {
    if (direction === "in") return `${ackType}: ${some(messageIds, shortId)}`;
    return `${ackType} ${messageIds ? some(messageIds, shortId) : some(streamIds ?? [streamId ?? ""], shortStream)}`;
  },
};

// isHeld: the cable is out, so it does not get far.
export function frameLine({ direction, frame }, isHeld) {
  const arrow = make("span", direction, direction === "out" ? "→" : "←");
  arrow.setAttribute("aria-label", direction === "out" ? "from the phone" : "to the phone");
  arrow.setAttribute("role", "img");
  const fields = FIELDS[frame.type]?.(frame, direction) ?? "";
  return make("li", isHeld ? "held" : frame.type, arrow, make("b", "", frame.type), make("span", "", isHeld ? `held back: ${fields}` : fields));
}

// -- what happens

const EVENTS = {
  stored: (whose, { entry }) => ["•", "stored", `in ${whose}’s mailbox: ${entryText(entry)}`],
  settled: (whose, { entry }) => ["✓", "settled", `left ${whose}’s mailbox: ${entryText(entry)}`],
  notified: (whose, { serverId, word }) => [
    "!",
    "notified",
    `${serverName(serverId)} about ${whose}: ${WORDS[word] ?? OTHER_WORDS[word] ?? word}`,
  ],
  leased: (whose, { serverId }) => ["+", "lease", `${whose} is online on ${serverName(serverId)}`],
  released: (whose, { serverId }) => ["−", "lease", `${serverName(serverId)} does not hold ${whose} any more`],
  came: (_whose, { serverId }) => ["+", "server", `${serverName(serverId)} has started (${serverRun(serverId)})`],
  went: (_whose, { serverId }) => ["−", "killed", `${serverName(serverId)} is gone (${serverRun(serverId)})`],
  away: () => ["−", "Redis", "does not answer"],
  back: () => ["+", "Redis", "answers again"],
};
const BAD = new Set(["went", "away"]);
const FREQUENT = new Set(["stored", "settled", "notified"]);

export function eventLine(news, name) {
  const [sign, what, text] = EVENTS[news.what](name, news);
  const look = `${BAD.has(news.what) ? "bad" : ""} ${FREQUENT.has(news.what) ? "" : "rare"}`;
  const line = make("li", look, make("span", "", sign), make("b", "", what), make("span", "", text));
  line.dataset.phone = news.whose ?? "";
  return line;
}

// -- mailboxes

function entryText({ kind, text, ackType, messageIds }) {
  if (kind === "chat") return `chat ${quoted(text)}`;
  if (kind === "receipt") return `receipt, ${ackType} ${some(messageIds, shortId)}`;
  if (kind === "own") return `copy ${quoted(text)}`;
  return `read elsewhere ${some(messageIds, shortId)}`;
}

export class MailboxView {
  constructor(root) {
    this.entries = root.querySelector(".entries");
    this.size = root.querySelector(".size");
    this.lease = root.querySelector(".lease");
    this.lines = new Map(); // streamId -> element
  }

  draw({ entries, leases }) {
    const waiting = new Set(entries.map(({ streamId }) => streamId));
    for (const id of [...this.lines.keys()]) if (!waiting.has(id)) this.remove(id);
    for (const entry of entries) this.#show(entry);
    this.size.textContent = entries.length;
    this.leases = leases;
    this.drawLease();
  }

  // A lease runs out while nothing changes.
  drawLease() {
    const [lease] = this.leases ?? [];
    const seconds = lease ? Math.ceil((lease.endsAt - Date.now()) / 1000) : 0;
    this.lease.textContent =
      seconds > 0 ? `lease: ${serverName(lease.serverId)}, for ${seconds} s more` : "no lease: waits for the phone";
  }

  remove(id) {
    const line = this.lines.get(id);
    if (!line) return;
    this.lines.delete(id);
    line.classList.add("gone");
    line.lastElementChild.textContent = "settled";
    setTimeout(() => line.remove(), GONE_MS);
  }

  #show(entry) {
    let line = this.lines.get(entry.streamId);
    if (!line) {
      line = make("li", entry.kind, make("span", "", entryText(entry)), make("span", ""));
      line.title = entry.streamId;
      this.lines.set(entry.streamId, line);
      this.entries.append(line);
    }
    line.lastElementChild.textContent = entry.pending ? "sent" : "waits";
  }
}

// -- servers

export class ServersView {
  constructor(list) {
    this.list = list;
    this.cards = new Map(); // serverId -> element
    this.dead = new Set(); // serverIds
  }

  // It has just been killed. The feed may tell of it late, when another one is in its place already.
  killed(serverId) {
    const card = this.cards.get(serverId);
    if (card) this.#killed(serverId, card);
  }

  // here: serverId -> [{phone, name}]
  draw(servers, here) {
    const shown = servers.filter(({ serverId }) => !this.dead.has(serverId));
    const living = new Set(shown.map(({ serverId }) => serverId));
    for (const [serverId, card] of this.cards) if (!living.has(serverId)) this.#killed(serverId, card);
    for (const { serverId, pid } of shown) {
      if (!this.cards.has(serverId)) this.#add(serverId, pid);
      const names = (here.get(serverId) ?? []).map(({ phone, name }) => {
        const chip = make("span", "", name);
        chip.dataset.phone = phone;
        return chip;
      });
      this.cards.get(serverId).querySelector(".here").replaceChildren(...names);
    }
  }

  #add(serverId, pid) {
    const name = serverName(serverId);
    const facts = make("small", "", `process ${pid} · ${serverRun(serverId)}`);
    const isNew = [...this.list.children].some((other) => other.dataset.name === name);
    const card = make("li", isNew ? "fresh" : "", make("b", "", name), facts, make("span", "here"));
    card.dataset.name = name;
    for (const dead of this.list.querySelectorAll(".killed")) if (dead.dataset.name === name) dead.remove();
    if (isNew) setTimeout(() => card.classList.remove("fresh"), FRESH_MS);
    this.cards.set(serverId, card);
    const after = [...this.list.children].find((other) => other.dataset.name > name);
    this.list.insertBefore(card, after ?? null);
  }

  #killed(serverId, card) {
    this.dead.add(serverId);
    this.cards.delete(serverId);
    card.classList.add("killed");
    card.querySelector("small").textContent = "killed · starting anew";
    card.querySelector(".here").replaceChildren();
    setTimeout(() => card.remove(), KILLED_MS);
  }
}
