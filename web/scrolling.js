// Where the open chat is scrolled to: it stays at the end, or at the message one looks at, whatever is added above or
// below; and it reports which new messages were seen.

import { chatOf } from "./chat_list.js";
import { atEnd, messages, newer, older, peer, shown, toEnd, trim } from "./history.js";
import { client, sendSoon } from "./opened.js";
import { useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";

const NEAR_PX = 80; // so near to the end is at the end
const SLACK_PX = 6;
const EDGE_PX = 1_000; // so near to an edge of the window more of the history is read
const READ_AT_ONCE = 100;

// n rises as messages become known here; their order is that of the server's times.
const newest = (all) => all.reduce((most, { n }) => Math.max(most, n), 0);
const isNew = (message) => !message.mine && message.state === "new";

// ref: the element that scrolls. found: {n} of a message that was searched for. Gives {away: whether one is not at the
// end, below: how many new messages were not seen, firstNew: n of the first new one, openedAt: n of the last message
// when the chat was opened, onScroll, follow}.
export function useScrolling(ref, place, found) {
  const kept = useRef({ reported: new Set() }).current;
  const [view, setView] = useState({ away: false, below: 0, firstNew: 0 });
  const all = messages.value;
  const isOpen = shown.value === place; // and not still what was open before

  // While it is drawn, so that the line before what is new is there when it is looked at what is seen.
  if (isOpen && kept.peer !== peer.value) {
    Object.assign(kept, { peer: peer.value, firstNew: lineBefore(all), openedAt: newest(all), reported: new Set() });
  }

  useLayoutEffect(() => {
    const log = ref.current;
    kept.isOpen = isOpen;
    if (!isOpen) return;
    if (kept.place !== place) {
      kept.place = place;
      if (found) center(log, found.n);
      else follow(log, all);
    } else arrange(log, all, kept);
    kept.newest = newest(all);
    look();
  }, [all, isOpen, place]);
  const { unread } = chatOf(peer.value);
  useEffect(() => look(), [unread]); // something came that is not in the window

  useEffect(() => {
    const again = () => look();
    const sized = new ResizeObserver(() => {
      if (!ref.current || !kept.isOpen) return;
      // The keyboard of a phone opened, the box grew, somebody begins to type …
      if (kept.isAtEnd) follow(ref.current, messages.value);
      look();
    });
    for (const element of [ref.current, ref.current.firstElementChild]) sized.observe(element);
    for (const event of ["focus", "blur"]) addEventListener(event, again);
    document.addEventListener("visibilitychange", again);
    return () => {
      sized.disconnect();
      for (const event of ["focus", "blur"]) removeEventListener(event, again);
      document.removeEventListener("visibilitychange", again);
    };
  }, []);

  // After each scroll and each change: what is seen now, and whether more of the history is needed.
  function look() {
    const log = ref.current;
    if (!log || !kept.isOpen) return;
    remember(log, kept);
    const fresh = messages.value.filter(isNew);
    const seen = inView(log, fresh);
    const unseen = fresh.length - seen.length;
    const below = unseen + (atEnd.value ? 0 : Math.max(0, chatOf(peer.value).unread - fresh.length));
    const isAway = !kept.isAtEnd;
    setView((was) => {
      const now = { away: isAway, below, firstNew: kept.firstNew };
      return was.away === now.away && was.below === now.below && was.firstNew === now.firstNew ? was : now;
    });
    if (document.visibilityState === "visible" && document.hasFocus()) report(seen, kept);
    if (log.scrollTop < EDGE_PX) older();
    if (fromEnd(log) < EDGE_PX) newer();
    if (kept.isAtEnd) trim();
  }

  return {
    ...view,
    firstNew: kept.firstNew ?? 0,
    openedAt: kept.openedAt ?? Infinity,
    onScroll: look,
    follow: async () => {
      await toEnd();
      follow(ref.current, messages.value);
    },
  };
}

// n of the first message that is new since somebody of this side wrote: a line is drawn before it.
const lineBefore = (all) => all.slice(all.findLastIndex(({ mine }) => mine) + 1).find(isNew)?.n ?? 0;
const fromEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight;
const bubble = (log, n) => log.querySelector(`[data-n="${n}"]`);

// After the window changed: one who was at the end stays there, everybody else sees what they saw.
function arrange(log, all, kept) {
  const added = atEnd.value ? all.filter(({ n }) => n > kept.newest) : [];
  if (added.at(-1)?.mine) {
    kept.firstNew = 0;
    log.scrollTop = log.scrollHeight;
    return;
  }
  if (!kept.firstNew && !document.hasFocus()) kept.firstNew = added.find(isNew)?.n ?? 0;
  if (kept.isAtEnd && atEnd.value) return void follow(log, all);
  const element = kept.anchor && bubble(log, kept.anchor.n);
  if (element) log.scrollTop += top(element, log) - kept.anchor.top;
}

// To the newest, but not beyond the first unseen one: what is reported as read must have been on the screen.
function follow(log, all) {
  log.scrollTop = log.scrollHeight;
  const first = all.find(isNew);
  const element = first && bubble(log, first.n);
  const hidden = element ? -top(element, log) : 0;
  if (hidden > 0) log.scrollTop -= hidden + 6 * SLACK_PX;
}

function center(log, n) {
  const element = bubble(log, n);
  if (element) log.scrollTop += top(element, log) - (log.clientHeight - element.offsetHeight) / 2;
}

const top = (element, log) => element.getBoundingClientRect().top - log.getBoundingClientRect().top;

// The first bubble that is seen, and where.
function remember(log, kept) {
  kept.isAtEnd = atEnd.value && fromEnd(log) < NEAR_PX;
  const bubbles = log.querySelectorAll("[data-n]");
  let [low, high] = [0, bubbles.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (top(bubbles[middle], log) + bubbles[middle].offsetHeight > 0) high = middle;
    else low = middle + 1;
  }
  const element = bubbles[low];
  kept.anchor = element ? { n: element.dataset.n, top: top(element, log) } : null;
}

// The new messages whose end is above the lower edge.
function inView(log, fresh) {
  return fresh.filter(({ n }) => {
    const element = bubble(log, n);
    return element && top(element, log) + element.offsetHeight <= log.clientHeight + SLACK_PX;
  });
}

async function report(seen, kept) {
  const ids = seen.map(({ id }) => id).filter((id) => !kept.reported.has(id));
  for (const id of ids) kept.reported.add(id);
  for (let at = 0; at < ids.length; at += READ_AT_ONCE) {
    await client.value?.markRead(kept.peer, ids.slice(at, at + READ_AT_ONCE));
  }
  if (ids.length) sendSoon();
}
