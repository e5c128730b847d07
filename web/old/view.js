// The screen besides the messages. Text that people wrote becomes a text node, never markup.

export const $ = (id) => document.getElementById(id);

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

const rows = new Map(); // mobile -> row of the list; changed in place, so that no click is lost between two rows
const latest = (chat) => Math.max(chat.messages.at(-1)?.time ?? 0, chat.opened ?? 0);

function row(mobile) {
  if (rows.has(mobile)) return rows.get(mobile);
  const button = element("button");
  button.type = "button";
  button.dataset.mobile = mobile;
  const parts = ["name", "when", "last", "badge"].map((name) => element("span", name));
  button.append(...parts);
  const made = element("li");
  made.append(button);
  rows.set(mobile, made);
  return made;
}

function fill(button, mobile, chat, isOpen, count) {
  const [name, when, last, badge] = button.children;
  const message = chat.messages.at(-1);
  const texts = [
    [name, chat.name || mobile],
    [when, message ? clock(message.time).split(",")[0] : ""],
    [last, chat.draft && !isOpen ? `Draft: ${chat.draft}` : (message?.text ?? mobile)],
    [badge, count ? `${count} new` : ""],
  ];
  for (const [part, text] of texts) if (part.textContent !== text) part.textContent = text;
  badge.hidden = !count;
  if (isOpen) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
}

// The latest first.
export function drawList(chats, open, unread, onChoose) {
  const list = $("list");
  const focused = document.activeElement;
  const order = Object.entries(chats).sort(([, one], [, other]) => latest(other) - latest(one));
  order.forEach(([mobile, chat], place) => {
    const made = row(mobile);
    fill(made.firstChild, mobile, chat, mobile === open, unread(mobile));
    made.firstChild.onclick = () => onChoose(mobile);
    if (list.children[place] !== made) list.insertBefore(made, list.children[place] ?? null);
  });
  if (focused !== document.activeElement && list.contains(focused)) focused.focus();
}

export function focusRow(mobile) {
  rows.get(mobile)?.firstChild.focus();
}

export function clearList() {
  rows.clear();
  $("list").replaceChildren();
}

export function sayLine(text, action, onAction) {
  $("banner").hidden = !text;
  if ($("banner-text").textContent !== text) $("banner-text").textContent = text;
  $("banner-do").hidden = !action;
  $("banner-do").textContent = action ?? "";
  $("banner-do").onclick = onAction ?? null;
}
