// What is on the screen. Whatever anybody wrote becomes a text node, never markup.

export const $ = (id) => document.getElementById(id);

const TICKS = {
  waiting: ["◷", "Waiting"],
  sent: ["✓", "Sent"],
  delivered: ["✓✓", "Delivered"],
  read: ["✓✓", "Read"],
  failed: ["✕", "Not sent"],
  expired: ["✕", "Expired, never delivered"],
};

export function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function clock(ms) {
  const date = new Date(ms);
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return date.toDateString() === new Date().toDateString() ? time : `${date.toLocaleDateString()}, ${time}`;
}

export function sayLastSeen(lastSeen) {
  const online = lastSeen === "online";
  const words = online ? "online" : lastSeen ? `last seen ${clock(lastSeen)}` : "last seen not shown";
  if ($("chat-seen").textContent !== words) $("chat-seen").textContent = words;
  $("chat-seen").classList.toggle("on", online);
}

function meta(message) {
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
  return line;
}

const bubbles = new WeakMap(); // message: its element, whose data-look says what its last line shows
const looks = ({ state, why = "", time }) => `${state} ${time} ${why}`;
let shown = "";

function bubble(message) {
  const made = element("div", message.mine ? "m me" : "m");
  const who = element("span", "vh", message.mine ? "You: " : "They: ");
  const text = element("p");
  text.dir = "auto";
  text.append(who, message.text);
  made.append(text, meta(message));
  made.dataset.look = looks(message);
  return made;
}

// Adds what is new and changes ticks in place: a screen reader then reads out only what is new.
export function drawChat(mobile, messages) {
  const log = $("log");
  const near = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const fresh = shown !== mobile;
  if (fresh) log.replaceChildren();
  shown = mobile;
  let added = null;
  for (const message of messages) {
    const known = bubbles.get(message);
    if (known?.parentNode === log) {
      if (known.dataset.look === looks(message)) continue;
      known.dataset.look = looks(message);
      known.lastChild.replaceWith(meta(message));
    } else {
      added = message;
      bubbles.set(message, bubble(message));
      log.append(bubbles.get(message));
    }
  }
  const wanted = new Set(messages.map((message) => bubbles.get(message)));
  for (const child of [...log.children]) if (!wanted.has(child)) child.remove();
  if (fresh || (added && (near || added.mine))) log.scrollTop = log.scrollHeight;
}

export function drawList(chats, open, unread, onChoose) {
  const rows = Object.entries(chats).map(([mobile, chat]) => {
    const button = element("button");
    button.type = "button";
    if (mobile === open) button.setAttribute("aria-current", "true");
    button.append(element("span", "name", chat.name || mobile));
    const count = unread(mobile);
    if (count) button.append(element("span", "badge", `${count} new`));
    button.append(element("span", "last", chat.messages.at(-1)?.text ?? mobile));
    button.dataset.mobile = mobile;
    button.onclick = () => onChoose(mobile);
    const row = element("li");
    row.append(button);
    return row;
  });
  const focused = document.activeElement?.dataset?.mobile;
  $("list").replaceChildren(...rows);
  if (focused) rows.map((row) => row.firstChild).find((b) => b.dataset.mobile === focused)?.focus();
}

export function sayLine(text, action, onAction) {
  $("banner").hidden = !text;
  if ($("banner-text").textContent !== text) $("banner-text").textContent = text;
  $("banner-do").hidden = !action;
  $("banner-do").textContent = action ?? "";
  $("banner-do").onclick = onAction ?? null;
}
