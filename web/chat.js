// The open chat.

import { Announcer, useAnnouncements } from "./announce.js";
import { Avatar } from "./avatar.js";
import { Banner } from "./banner.js";
import { chatOf } from "./chat_list.js";
import { Composer } from "./composer.js";
import { closeHistory, messages, openHistory } from "./history.js";
import { Log } from "./log.js";
import { Menu } from "./menu.js";
import { connection } from "./opened.js";
import { lazy } from "./parts.js";
import { abouts, blocked, presence, watch } from "./people.js";
import { back } from "./router.js";
import { jump } from "./search.js";
import { Back, More } from "./symbols.js";
import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { lastSeenWords, readable } from "./words.js";

const SearchBar = lazy(() => import("./search_bar.js").then((module) => module.SearchBar));
const Question = lazy(() => import("./question.js").then((module) => module.Question));

export function Chat({ peer }) {
  const { name } = chatOf(peer);
  const [asks, setAsks] = useState(""); // which dialog is open
  const [searches, setSearches] = useState(false);
  const isBlocked = blocked.value.has(peer);
  const shownName = name || readable(peer);
  const found = jump.value?.peer === peer ? jump.value : null;

  useEffect(() => {
    setSearches(false);
    setAsks("");
    watch([peer]);
  }, [peer]);
  // When a search ends, the chat stays where it is.
  const place = useRef("");
  if (found || !place.current.startsWith(`${peer} `)) place.current = `${peer} ${found?.times ?? ""}`;
  const key = place.current;
  useEffect(() => void openHistory(peer, found?.message, key), [key]);
  useEffect(() => closeHistory, []);
  useAnnouncements(shownName);

  function onKey(event) {
    if (event.key !== "Escape" || event.defaultPrevented || asks) return;
    event.preventDefault();
    if (searches) closeSearch();
    else back();
  }
  function closeSearch() {
    setSearches(false);
    jump.value = null;
    document.getElementById("text")?.focus();
  }

  const items = [
    { words: "Search in this chat", does: () => setSearches(true) },
    isBlocked ? { words: `Unblock ${shownName}`, does: () => setAsks("unblock") } : { words: `Block ${shownName}`, does: () => setAsks("block"), bad: true },
    { words: "Clear this chat", does: () => setAsks("clear"), bad: true },
  ];
  return html`
    <section class="chat" aria-labelledby="chat-name" onKeyDown=${onKey}>
      <header class="bar">
        <button type="button" id="back" class="icon back" aria-label="Back to conversations" onClick=${() => back()}><${Back} /></button>
        <${Avatar} mobileNo=${peer} name=${name} online=${isOnline(peer)} />
        <div class="who"><h1 id="chat-name" dir="auto">${shownName}</h1><${Presence} peer=${peer} name=${name} /></div>
        <${Menu} label="More about this chat" symbol=${More} items=${items} />
      </header>
      ${searches && html`<${SearchBar} peer=${peer} onClose=${closeSearch} />`}
      <${Banner} />
      <${Log} place=${key} found=${found} name=${shownName} />
      ${isBlocked ? html`<${Barred} name=${shownName} onUnblock=${() => setAsks("unblock")} />` : html`<${Composer} peer=${peer} waiting=${waitingIn(peer)} />`}
      <${Announcer} />
      ${asks && html`<${Question} asks=${asks} peer=${peer} name=${shownName} onClose=${() => setAsks("")} />`}
    </section>
  `;
}

const isOnline = (peer) => connection.value.name === "online" && !blocked.value.has(peer) && presence.value.get(peer)?.online === true;
// More than these may wait, but nobody counts them.
const waitingIn = () => messages.value.filter((message) => message.mine && message.state === "waiting").length;

// Online, or when they were seen last; and their number, where their name does not say it already. Without a connection
// nothing is said about others: it may be out of date.
function Presence({ peer, name }) {
  const seen = connection.value.name === "online" && !blocked.value.has(peer) ? presence.value.get(peer) : undefined;
  const words = isOnline(peer) ? "online" : seen?.lastSeen ? lastSeenWords(seen.lastSeen) : "";
  const about = abouts.value.get(peer);
  const rest = [name && readable(peer), !words && about].filter(Boolean).join(" · ");
  return html`
    <span class="sub">
      <span id="chat-seen" class=${isOnline(peer) ? "sub on" : ""}>${words}</span>${words && rest && " · "}<span>${rest}</span>
    </span>
  `;
}

function Barred({ name, onUnblock }) {
  return html`
    <p class="barred" id="barred">
      <span>You blocked <bdi>${name}</bdi>. Unblock to write.</span>
      <button type="button" class="link" onClick=${onUnblock}>Unblock</button>
    </p>
  `;
}
