// What the two people do by themselves: talk, and the half minute of "show me".

const TALK_MS = 700; // between two messages of one person
const SETTLE_MS = 30_000;
const LOOK_MS = 200;
const SENTENCES = {
  a: [
    "Good morning! Are you there?",
    "Then let us begin.",
    "Somebody may kill my server.",
    "My phone connects to another one.",
    "What has no answer I send again,",
    "with the same messageId,",
    "so you see it once.",
    "Still in order?",
    "And if your cable is out?",
    "I go on writing.",
  ],
  b: [
    "Good morning, Asha. I am.",
    "Every message is stored first.",
    "Only then you get your tick.",
    "It stays until my phone has kept it.",
    "Then my phone says so,",
    "and the server forgets it.",
    "All of them, in order.",
    "Then they wait for me.",
    "Even while Redis is away?",
    "Nothing is lost.",
  ],
};

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Talk {
  constructor(phones) {
    this.phones = phones;
    this.said = { a: 0, b: 0 };
    this.timers = [];
  }

  get isOn() {
    return this.timers.length > 0;
  }

  start() {
    if (this.isOn) return;
    this.#say("a");
    this.timers = [setInterval(() => this.#say("a"), TALK_MS), setInterval(() => this.#say("b"), TALK_MS * 1.3)];
  }

  stop() {
    for (const timer of this.timers) clearInterval(timer);
    this.timers = [];
  }

  #say(name) {
    const sentences = SENTENCES[name];
    const text = sentences[this.said[name] % sentences.length];
    this.said[name] += 1;
    this.phones[name].post(text);
  }
}

// The half minute. act: {kill(name), pull(name), plugIn(name), freeze()}; count(): the totals; say(text).
export async function showMe({ talk, act, count, say }) {
  say("1 of 5 · They talk, each on a server of their own.");
  talk.start();
  await sleep(4_500);
  say("2 of 5 · Asha’s server is killed (kill -9). Her phone goes on with another one.");
  await act.kill("a");
  await sleep(6_000);
  say("3 of 5 · Ravi’s cable is pulled. What Asha writes waits in Ravi’s mailbox.");
  act.pull("b");
  await sleep(5_500);
  say("4 of 5 · The cable is in again: everything arrives.");
  act.plugIn("b");
  await sleep(3_000);
  say("5 of 5 · Redis does not answer for 5 seconds. The phones wait, and send again.");
  await act.freeze();
  await sleep(6_500);
  talk.stop();
  const end = performance.now() + SETTLE_MS;
  while (count().inPhone + count().inMailbox > 0 && performance.now() < end) await sleep(LOOK_MS);
  say(verdict(count()));
}

export function verdict({ sent, delivered, inPhone, inMailbox, withheld, lost, doubled, disordered }) {
  const rest = inPhone + inMailbox;
  const all = withheld ? `${delivered} delivered, ${withheld} withheld from somebody who blocks` : `${delivered} delivered`;
  const so = rest ? `${rest} still on their way` : "nothing waits";
  return `${sent} sent, ${all}, ${so}: ${lost} lost, ${doubled} doubled, ${disordered} out of order.`;
}
