// The list of chats, and beside it the open one.

import { Avatar } from "./avatar.js";
import { Banner } from "./banner.js";
import { chatOf, list, listed, useTitle } from "./chat_list.js";
import { Finder, Results } from "./find.js";
import { connection } from "./opened.js";
import { ask, lazy } from "./parts.js";
import { blocked, presence, typing } from "./people.js";
import { href, openChatOf } from "./router.js";
import { account, openChat } from "./state.js";
import { Gear, Lock, Send } from "./symbols.js";
import { Tick } from "./ticks.js";
import { html, useEffect, useMemo, useRef, useState } from "./vendor/preact.js";
import { readable, shortTime } from "./words.js";
import { NewerVersion } from "./worker.js";

const Chat = lazy(() => (ask("chat"), import("./chat.js").then((module) => module.Chat)));

export function Chats() {
  const { mobileNo, name } = account.value;
  const open = openChat.value;
  const [words, setWords] = useState("");
  useTitle(open ? chatOf(open).name || readable(open) : "");
  useFocusOnReturn(open);
  const isWide = useIsWide();
  // The list is there first. Then the chat, before somebody opens one: there may be no network.
  useEffect(() => void Chat.load().catch(() => undefined), []);
  return html`
    <div class="app" data-view=${open ? "detail" : "list"}>
      <nav aria-label="Conversations">
        <header class="bar">
          <${Avatar} mobileNo=${mobileNo} name=${name} />
          <div class="who"><h2 id="my-name" dir="auto">${name}</h2><span id="my-mobile" class="sub">${readable(mobileNo)}</span></div>
          <a class="icon" id="to-settings" href=${href("settings")} aria-label="Settings" title="Settings"><${Gear} /></a>
        </header>
        <${NewerVersion} />
        ${!open && !isWide && html`<${Banner} />`}
        <${Finder} words=${words} onWords=${setWords} />
        ${words.trim() ? html`<${Results} words=${words.trim()} onDone=${() => setWords("")} />` : html`<${List} open=${open} />`}
      </nav>
      <main>
        ${open ? html`<${Chat} peer=${open} />` : html`${isWide && html`<${Banner} />`}<${Nobody} />`}
      </main>
    </div>
  `;
}

function List({ open }) {
  const all = list.value;
  const isEmpty = listed.value && !all.length;
  if (isEmpty) {
    return html`
      <div class="hint"><${Send} /><h2>No chats yet</h2>
        <p>Write a mobile number above, with its country code, to start one.</p></div>
    `;
  }
  // One row can be reached with Tab, the others from there with the arrow keys.
  const first = all.some(({ peer }) => peer === open) ? open : all[0]?.peer;
  return html`
    <ul id="list" class="list" onKeyDown=${moveInList}>
      ${all.map((chat) => html`<${Row} key=${chat.peer} chat=${chat} isOpen=${chat.peer === open} isFirst=${chat.peer === first} />`)}
    </ul>
  `;
}

export function Row({ chat, isOpen, isFirst = false, onChoose }) {
  const { peer, name, last, unread: count, draft, at } = chat;
  const isLive = connection.value.name === "online";
  const isBlocked = blocked.value.has(peer);
  const online = isLive && !isBlocked && presence.value.get(peer)?.online === true;
  const types = typing.value.has(peer);
  const day = new Date().toDateString(); // "19:42" becomes "Yesterday"
  return useMemo(() => {
    const choose = (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return; // to another tab
      event.preventDefault();
      openChatOf(peer);
      onChoose?.();
    };
    const time = last?.timestamp ?? at;
    return html`
      <li>
        <a href=${href("chat", peer)} data-mobile=${peer} class=${count ? "unread" : ""} aria-current=${isOpen ? "page" : undefined}
          tabindex=${isFirst ? 0 : -1} onClick=${choose}>
          <${Avatar} mobileNo=${peer} name=${name} online=${online} />
          <span class="t"><b class="name" dir="auto">${name || readable(peer)}</b>${online && html`<span class="vh">, online</span>`}
            ${isBlocked && html`<small class="sub">· blocked</small>`}</span>
          ${time ? html`<time datetime=${new Date(time).toISOString()}>${shortTime(time)}</time>` : html`<span></span>`}
          <${Preview} last=${last} types=${types} isBlocked=${isBlocked} draft=${isOpen ? "" : draft} peer=${peer} />
          ${count > 0 && html`<span class="badge">${count > 999 ? "999+" : count}<span class="vh"> unread</span></span>`}
        </a>
      </li>
    `;
  }, [chat, isOpen, isFirst, online, types, isBlocked, day]);
}

function Preview({ last, types, isBlocked, draft, peer }) {
  if (types) return html`<span class="s live"><span>typing…</span></span>`;
  if (draft) return html`<span class="s last"><span class="draft">Draft: </span><span dir="auto">${draft}</span></span>`;
  if (isBlocked) return html`<span class="s last"><span>You blocked this number</span></span>`;
  if (!last) return html`<span class="s last"><span>${readable(peer)}</span></span>`;
  const line = last.text.slice(0, 200);
  if (!last.mine) return html`<span class="s last"><span dir="auto">${line}</span></span>`;
  return html`<span class="s last"><${Tick} state=${last.state} /><span><span class="vh">You: </span><bdi>${line}</bdi></span></span>`;
}

function moveInList(event) {
  const rows = [...event.currentTarget.querySelectorAll("a, button.row")];
  const at = rows.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  if (to < 0) document.getElementById("find")?.focus();
  else rows[Math.min(to, rows.length - 1)].focus();
}
export { moveInList };

function Nobody() {
  return html`
    <div class="hint" id="nobody"><h1 class="vh">WhatsApp Mini</h1><${Lock} /><h2>Choose a chat</h2>
      <p>Messages are kept in this browser. The server keeps them only until they are delivered.</p></div>
  `;
}

// Back in the list, the focus is on the chat that was open.
function useFocusOnReturn(open) {
  const before = useRef("");
  useEffect(() => {
    if (!open && before.current) document.querySelector(`#list a[data-mobile="${before.current}"]`)?.focus();
    before.current = open;
  }, [open]);
}

const wide = matchMedia("(min-width: 721px)");

function useIsWide() {
  const [is, set] = useState(wide.matches);
  useEffect(() => {
    const change = () => set(wide.matches);
    wide.addEventListener("change", change);
    return () => wide.removeEventListener("change", change);
  }, []);
  return is;
}
