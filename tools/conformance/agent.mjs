// The agent for the JavaScript client: commands as JSON lines on stdin, answers and events on stdout (see README.md).

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import * as time from "./agent_clock.mjs";

for (const name of ["log", "info", "debug", "warn", "error"]) {
  console[name] = (...args) => process.stderr.write(`${args.map(String).join(" ")}\n`);
}

const folder = process.env.CONFORMANCE_CLIENT
  ? pathToFileURL(`${process.env.CONFORMANCE_CLIENT}/`)
  : new URL("../../clients/js/src/", import.meta.url);
const { Client, MemoryStore } = await import(new URL("index.js", folder));
const { FileStore } = await import(new URL("file-store.js", folder));

const EVENTS = ["state", "message", "posted", "tick", "failed", "own", "ownRead", "typing", "presence", "resync",
  "notice", "frame"];
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** One client. */
class Person {
  constructor(name, given, store) {
    this.name = name;
    this.mode = given.handler;
    this.inHand = [];
    this.gates = new Map();
    this.messages = null;
    this.store = store;
    const { mobileNo, password, deviceId } = given;
    this.client = new Client(given.url, { mobileNo, password, deviceId, store: this.gated(store), clock: time.clock });
    for (const event of EVENTS) this.client.on(event, (told) => this.tell(event, told));
    if (this.mode) this.client.onMessage = (message) => this.handle(message);
  }

  /** An event, with the monotonic time of this process in seconds. */
  tell(event, fields) {
    say({ event, client: this.name, t: time.clock.now() / 1000, ...fields });
  }

  /** The same store; its operations can be held. */
  gated(store) {
    return new Proxy(store, {
      get: (target, name) => {
        const found = target[name];
        if (typeof found !== "function") return found;
        return async (...args) => {
          if (this.gates.has(name)) {
            this.tell("store", { operation: name });
            await this.gates.get(name).passed;
          }
          return found.apply(target, args);
        };
      },
    });
  }

  holdStore(operation) {
    let open;
    const passed = new Promise((done) => (open = done));
    this.gates.set(operation, { passed, open });
  }

  releaseStore(operation) {
    this.gates.get(operation).open();
    this.gates.delete(operation);
  }

  async handle(message) {
    this.tell("handling", message);
    if (this.mode === "fail") throw new Error("this handler fails on purpose");
    if (this.mode === "hold") await new Promise((done) => this.inHand.push(done));
    this.tell("handled", message);
  }

  async next() {
    this.messages ??= this.client.messages()[Symbol.asyncIterator]();
    return (await this.messages.next()).value;
  }

  async stop({ seconds = 10 }) {
    await this.client.stop({ seconds });
    await this.store.close();
  }

  async end() {
    for (const operation of [...this.gates.keys()]) this.releaseStore(operation);
    await this.stop({ seconds: 0 });
  }
}

const people = new Map();
const memory = new Map();

const OF_THE_PROCESS = {
  async open(given, name) {
    const { kind, name: storeName, path } = given.store;
    if (kind === "memory" && !memory.has(storeName)) memory.set(storeName, new MemoryStore());
    const store = kind === "memory" ? memory.get(storeName) : await FileStore.open(path);
    await people.get(name)?.end();
    people.set(name, new Person(name, given, store));
  },
  async renew() {
    time.setLuck(null);
    time.rightWall();
    for (const person of people.values()) await person.end();
    people.clear();
    memory.clear();
  },
  luck: ({ value }) => time.setLuck(value),
  wall: ({ seconds }) => time.setWall(seconds),
  settle: ({ seconds }) => time.settle(seconds * 1000),
  step: ({ most }) => time.step(most),
  left: () => ({ tasks: [], timers: time.pendingTimers() }),
};

const OF_A_CLIENT = {
  start: ({ client }) => client.start(),
  stop: (person, given) => person.stop(given),
  online: ({ client }) => client.online(),
  state: ({ client }) => client.state,
  connectNow: ({ client }) => client.connectNow(),
  send: ({ client }, { to, text, messageId }) => client.send(to, text, messageId === undefined ? {} : { id: messageId }),
  post: ({ client }, { to, text, messageId }) => client.post(to, text, messageId === undefined ? {} : { id: messageId }),
  retry: ({ client }, { messageId }) => client.retry(messageId),
  discard: ({ client }, { messageId }) => client.discard(messageId),
  next: (person) => person.next(),
  markRead: ({ client }, { peer, messageIds }) => client.markRead(peer, messageIds),
  typing: ({ client }, { to, active }) => client.typing(to, active),
  watch: ({ client }, { mobileNos }) => client.watch(mobileNos),
  unwatch: ({ client }, { mobileNos }) => client.unwatch(mobileNos),
  api: ({ client }, { name, args = [] }) => client.api[name](...args),
  handler: (person, { mode }) => void (person.mode = mode),
  handled: (person) => person.inHand.shift()(),
  holdStore: (person, { operation }) => person.holdStore(operation),
  releaseStore: (person, { operation }) => person.releaseStore(operation),
};

async function command(given) {
  const name = given.client ?? "main";
  if (given.do in OF_THE_PROCESS) return OF_THE_PROCESS[given.do](given, name);
  return OF_A_CLIENT[given.do](people.get(name), given);
}

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const given = JSON.parse(line);
    try {
      say({ id: given.id, result: (await command(given)) ?? null });
    } catch (error) {
      const { name, message, stack } = error;
      say({ id: given.id, error: { ...error, class: name, message, said: String(stack) } });
    }
  })
  .on("close", () => process.exit(0));
