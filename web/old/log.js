// The messages of the open chat: draws them, scrolls to the newest, and reports which are visible.

import { $, clock, element } from "./view.js";

const NEAR_PX = 80;
const SLACK_PX = 4;
const TICKS = {
  waiting: ["◷", "Waiting"],
  sent: ["✓", "Sent"],
  delivered: ["✓✓", "Delivered"],
  read: ["✓✓", "Read"],
  failed: ["✕", "Not sent"],
  expired: ["✕", "Expired, never delivered"],
};

const bubbles = new WeakMap(); // message -> its element; data-look says what its last line shows
const looks = ({ state, why = "", time }) => `${state} ${time} ${why}`;
const isNew = (message) => !message.mine && message.state === "new";
let shown = "";

function action(text, doIt) {
  const button = element("button", "link", text);
  button.type = "button";
  button.onclick = doIt;
  return button;
}

function meta(message, actions) {
  const line = element("div", "meta");
  const time = element("time", "", clock(message.time));
  time.dateTime = new Date(message.time).toISOString();
  line.append(time);
  if (message.mine) {
    const [sign, word] = TICKS[message.state];
    const tick = element("span", `tick ${message.state}`);
    const symbol = element("span", "", sign);
    symbol.ariaHidden = "true";
    tick.append(symbol, ` ${word}${message.why ? `: ${message.why}` : ""}`);
    line.append(tick);
  }
  if (message.state === "failed") {
    line.append(action("Retry", () => actions.retry(message)), action("Take back", () => actions.takeBack(message)));
  }
  return line;
}

function bubble(message, actions) {
  const made = element("div", message.mine ? "m me" : "m");
  const who = element("span", "vh", message.mine ? "You: " : "They: ");
  const text = element("p");
  text.dir = "auto";
  text.append(who, message.text);
  made.append(text, meta(message, actions));
  made.dataset.look = looks(message);
  return made;
}

// Adds new messages and changes ticks in place, so that a screen reader reads only new messages.
// actions: {retry(message), takeBack(message)}
export function drawChat(mobile, messages, actions) {
  const log = $("log");
  const near = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PX;
  const fresh = shown !== mobile;
  if (fresh) log.replaceChildren();
  shown = mobile;
  let added = null;
  for (const message of messages) {
    const known = bubbles.get(message);
    if (known?.parentNode === log) {
      if (known.dataset.look === looks(message)) continue;
      known.dataset.look = looks(message);
      known.lastChild.replaceWith(meta(message, actions));
    } else {
      added = message;
      bubbles.set(message, bubble(message, actions));
      log.append(bubbles.get(message));
    }
  }
  const wanted = new Set(messages.map((message) => bubbles.get(message)));
  for (const child of [...log.children]) if (!wanted.has(child)) child.remove();
  if (added?.mine && !fresh) log.scrollTop = log.scrollHeight;
  else if (fresh || (added && near)) follow(messages);
}

// To the newest, but not beyond the first unseen one: what is reported as read must have been on the screen.
export function follow(messages) {
  const log = $("log");
  log.scrollTop = log.scrollHeight;
  const first = messages.find(isNew);
  if (!first) return;
  const hidden = log.getBoundingClientRect().top - bubbles.get(first).getBoundingClientRect().top;
  if (hidden > 0) log.scrollTop -= hidden + 2 * SLACK_PX;
}

// The new messages whose end is in view.
export function inView(messages) {
  const end = $("log").getBoundingClientRect().bottom + SLACK_PX;
  return messages.filter((message) => {
    const made = bubbles.get(message);
    return made?.isConnected && made.getBoundingClientRect().bottom <= end;
  });
}

export function clearLog() {
  shown = "";
  $("log").replaceChildren();
}
