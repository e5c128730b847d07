// The demo's page: two phones, what passes between them and the servers, and buttons to break it.

import { Counter } from "./counting.js";
import { Feed } from "./feed.js";
import { MailboxView, ServersView, addLine, eventLine, frameLine, serverName, serverRun } from "./lists.js";
import { Phone } from "./phone.js";
import { Talk, showMe, sleep } from "./script.js";
import { Wires } from "./wires.js";

const COUNT_MS = 500;
const IDLE = 4; // a long history takes long to read: the count takes a fifth of the time at most
const APART_MS = 1_000;
const OFFLINE_MS = 3_000; // "go offline, send 50": from the last message until the cable is in again
const STATES = {
  off: "not connected",
  connecting: "connects …",
  pausing: "offline, tries again soon",
  stopped: "offline, does not try again",
  loggedOut: "logged out: reload this page",
};
const $ = (id) => document.getElementById(id);

const state = { phones: {}, counts: null, counter: new Counter(), isSeparating: false };
const names = { a: "Asha", b: "Ravi" };
const sections = { a: $("phone-a"), b: $("phone-b") };
const mailboxes = Object.fromEntries(["a", "b"].map((n) => [n, new MailboxView(document.querySelector(`.box[data-phone=${n}]`))]));
const servers = new ServersView($("servers"));
const wires = new Wires(document.querySelector(".wires"), servers, $("redis"));
let feed;
let talk;

const say = (text) => ($("caption").textContent = text);

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

async function press(body) {
  const headers = { "Content-Type": "application/json", "X-Demo": "1" };
  const answer = await fetch("/demo/do", { method: "POST", headers, body: JSON.stringify(body) });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.message);
  return said;
}

// -- drawing

function drawPhones() {
  const here = new Map();
  const lines = {};
  for (const [name, phone] of Object.entries(state.phones)) {
    const { serverId, state: connection, isOut } = phone;
    lines[name] = { serverId, isOut };
    if (serverId && connection === "online") here.set(serverId, [...(here.get(serverId) ?? []), { phone: name, name: names[name] }]);
    const where = sections[name].querySelector(".where");
    where.className = `where ${isOut ? "out" : connection}`;
    const online = `online on ${serverName(serverId)} · ${serverRun(serverId)}`;
    where.textContent = isOut ? "the cable is out" : connection === "online" ? online : STATES[connection];
    sections[name].querySelector(".screen").classList.toggle("out", isOut);
    const button = sections[name].querySelector("[data-do=cable]");
    button.textContent = isOut ? "Plug cable in" : "Pull cable";
    button.setAttribute("aria-pressed", isOut);
    if (phone.people) drawBlock(name, phone.isBlocking);
  }
  if (feed?.seen) servers.draw(feed.seen.servers, here);
  wires.draw(lines, feed?.seen?.redis === false);
}

function drawSeen({ redis, mailboxes: seen }) {
  for (const [name, box] of Object.entries(seen)) mailboxes[name].draw(box);
  $("redis").classList.toggle("away", !redis);
  $("redis-says").textContent = redis ? "keeps a message until the phone has it" : "does not answer";
  drawPhones();
}

function drawNews(news) {
  for (const one of news) {
    addLine($("events"), eventLine(one, names[one.whose]));
    if (one.what === "notified") wires.run(one.serverId, false, one.whose);
    if (one.what === "stored") wires.run(state.phones[one.whose === "a" ? "b" : "a"]?.serverId, true, one.whose === "a" ? "b" : "a");
  }
}

function drawFrame(name, { direction, frame }) {
  const { isOut } = state.phones[name];
  addLine(sections[name].querySelector(".frames ol"), frameLine({ direction, frame }, isOut));
  if (!isOut) wires.run(name, direction === "in", name);
}

function drawCounts(counts) {
  const show = (id, value) => ($(`count-${id}`).textContent = value);
  show("sent", counts.sent);
  show("waiting", counts.inPhone + counts.inMailbox);
  show("where", `phones ${counts.inPhone} · mailboxes ${counts.inMailbox}`);
  for (const key of ["delivered", "withheld", "failed", "lost", "doubled", "disordered"]) show(key, counts[key]);
  for (const key of ["withheld", "failed"]) $(`count-${key}-box`).hidden = counts[key] === 0;
  for (const key of ["lost", "doubled", "disordered"]) $(`count-${key}`).parentElement.classList.toggle("broken", counts[key] > 0);
}

async function count() {
  const phones = {};
  for (const [name, phone] of Object.entries(state.phones)) phones[name] = await phone.read();
  state.counts = state.counter.look(performance.now(), phones, { a: feed.mailbox("a"), b: feed.mailbox("b") });
  drawCounts(state.counts);
}

async function keepCounting() {
  for (;;) {
    const began = performance.now();
    await count();
    for (const view of Object.values(mailboxes)) view.drawLease();
    await sleep(Math.max(COUNT_MS, IDLE * (performance.now() - began)));
  }
}

// -- what is broken

// The phones are on two servers again, if one of them came to the other's.
async function separate() {
  const { a, b } = state.phones;
  if (state.isSeparating || !a.isOnline || !b.isOnline || a.serverId !== b.serverId) return;
  state.isSeparating = true;
  try {
    await b.leave(a);
  } finally {
    state.isSeparating = false;
  }
}

async function keepApart() {
  for (;;) {
    await sleep(APART_MS);
    if (feed.seen?.redis) await separate().catch(() => undefined); // something was broken meanwhile: it is tried again
  }
}

const act = {
  pull: (name) => state.phones[name].pull(),
  plugIn: (name) => state.phones[name].plugIn(),
  async kill(name) {
    const { serverId } = state.phones[name];
    await press({ do: "kill", serverId });
    servers.killed(serverId);
  },
  freeze: () => press({ do: "freeze" }),
};

// The same by hand, with a sentence about it.
const byHand = {
  async kill(name) {
    const gone = serverName(state.phones[name].serverId);
    await act.kill(name);
    say(`${gone} was killed (kill -9). ${names[name]}’s phone connects to another one.`);
  },
  async freeze() {
    await act.freeze();
    say("Redis does not answer for 5 seconds. The phones wait, and send again.");
  },
  cable(name) {
    const phone = state.phones[name];
    if (phone.isOut) phone.plugIn();
    else phone.pull();
    say(phone.isOut ? `${names[name]}’s cable is out. Nobody is told: the phone has to find out.` : `${names[name]}’s cable is in again.`);
  },
  async many(name) {
    const phone = state.phones[name];
    phone.pull();
    say(`${names[name]} is offline, and writes 50 messages.`);
    await phone.postMany(50);
    await sleep(OFFLINE_MS);
    phone.plugIn();
    say(`${names[name]} is online again: the 50 go out, in order.`);
  },
  async block(name) {
    const yes = !state.phones[name].isBlocking;
    await state.phones[name].block(yes);
    const other = names[name === "a" ? "b" : "a"];
    say(yes ? `${names[name]} blocks ${other}, who is not told: what they send gets one tick and does not arrive.` : `${names[name]} does not block ${other} any more.`);
  },
};

function drawBlock(name, yes) {
  const button = sections[name].querySelector("[data-do=block]");
  button.setAttribute("aria-pressed", yes);
  button.textContent = yes ? "Unblock" : "Block";
}

// Runs what a button does, with the button off meanwhile, and says what went wrong.
async function running(button, task) {
  button.disabled = true;
  try {
    await task();
  } catch (error) {
    say(error.message);
  } finally {
    button.disabled = false;
  }
}

function listen() {
  for (const [name, section] of Object.entries(sections)) {
    for (const button of section.querySelectorAll("[data-do]")) {
      button.onclick = () => running(button, () => byHand[button.dataset.do](name));
    }
  }
  $("freeze").onclick = () => running($("freeze"), byHand.freeze);
  $("talk").onclick = () => {
    if (talk.isOn) talk.stop();
    else talk.start();
    drawTalk();
  };
  $("show").onclick = () => running($("show"), show);
  addEventListener("resize", drawPhones);
}

const drawTalk = () => $("talk").setAttribute("aria-pressed", talk.isOn);

async function show() {
  const talking = { start: () => (talk.start(), drawTalk()), stop: () => (talk.stop(), drawTalk()) };
  await separate();
  try {
    await showMe({ talk: talking, act, count: () => state.counts, say });
  } finally {
    talking.stop();
    if (state.phones.b.isOut) act.plugIn("b");
  }
}

// -- the start

async function begin() {
  const { people } = await (await fetch("/demo/people", { headers: { "X-Demo": "1" } })).json();
  const person = Object.fromEntries(people.map((one) => [one.phone, one]));
  for (const name of ["a", "b"]) {
    const iframe = sections[name].querySelector("iframe");
    const on = { frame: (frame) => drawFrame(name, frame), changed: drawPhones };
    state.phones[name] = new Phone(name, person[name], person[name === "a" ? "b" : "a"], iframe, on);
  }
  feed = new Feed({ seen: drawSeen, news: drawNews });
  talk = new Talk(state.phones);
  await Promise.all(Object.values(state.phones).map((phone) => phone.start()));
  await separate();
  listen();
  say("Press “Show me”, or write something and break what you like.");
  keepApart();
  keepCounting().catch((error) => trouble(`The count has stopped: ${error.message}`));
  document.documentElement.dataset.ready = "true";
}

// One window at a time: the phones of a second one would take the first one's connections.
window.demo = state; // for tests
if (navigator.locks) {
  navigator.locks.request("demo", { ifAvailable: true }, (lock) => lock === null && trouble("The demo is open in another window. Close it there, and it begins here."));
  navigator.locks.request("demo", () => {
    trouble("");
    return begin().then(
      () => new Promise(() => {}),
      (error) => trouble(error.message),
    );
  });
}
