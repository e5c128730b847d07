// One field to find people, chats and messages: a name, a number, or words.

import { Avatar } from "./avatar.js";
import { list } from "./chat_list.js";
import { moveInList, Row } from "./chats.js";
import { client } from "./opened.js";
import { begin } from "./people.js";
import { openChatOf } from "./router.js";
import { jumpTo, LEAST, useSearch } from "./search.js";
import { account } from "./state.js";
import { Close, Find, Send } from "./symbols.js";
import { marked } from "./texts.js";
import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { readable, shortTime } from "./words.js";

const DIGITS = 8; // from here on it may be a whole number
const AROUND = 30; // letters shown before what was found

const digitsOf = (words) => words.replace(/\D/g, "").replace(/^00/, "");
const isNumber = (words) => /^[\s+\d()./\u00a0\u2010-\u2015-]+$/.test(words) && digitsOf(words).length >= DIGITS;

export function Finder({ words, onWords }) {
  const box = useRef(null);
  function onKey(event) {
    const results = document.getElementById("list");
    if (event.key === "Escape" && words) onWords("");
    else if (event.key === "ArrowDown") results?.querySelector("a, button.row")?.focus();
    else if (event.key === "Enter") (results?.querySelector("button.start") ?? results?.querySelector("a, button.row"))?.click();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
  return html`
    <div class="find" role="search" aria-label="Chats">
      <${Find} />
      <label class="vh" for="find">Start or find a chat</label>
      <input id="find" type="search" dir=${words ? "auto" : undefined} autocomplete="off" placeholder="Start or find a chat" ref=${box} value=${words}
        onInput=${(event) => onWords(event.target.value)} onKeyDown=${onKey} />
      ${words && html`<button type="button" class="icon" aria-label="Clear" onClick=${() => (onWords(""), box.current.focus())}><${Close} /></button>`}
    </div>
  `;
}

// onDone: somebody chose something.
export function Results({ words, onDone }) {
  const lower = words.toLowerCase();
  const digits = digitsOf(words);
  const chats = list.value.filter(({ peer, name }) => name.toLowerCase().includes(lower) || (digits.length > 2 && peer.includes(digits)));
  const found = useSearch(words);
  const asksNumber = isNumber(words);
  const isNothing = !chats.length && !found.length && !asksNumber;
  return html`
    <ul id="list" class="list" onKeyDown=${moveInList}>
      ${asksNumber && html`<${Start} words=${words} onDone=${onDone} />`}
      ${chats.length > 0 && html`<li class="found" key="chats">Chats</li>`}
      ${chats.map((chat) => html`<${Row} key=${chat.peer} chat=${chat} isOpen=${false} isFirst onChoose=${onDone} />`)}
      ${found.length > 0 && html`<li class="found" key="messages">Messages</li>`}
      ${found.map((message) => html`<${Hit} key=${message.n} message=${message} words=${words} onDone=${onDone} />`)}
      ${isNothing && html`<li class="says" key="nothing" role="status">${words.length < LEAST ? "Write more to search in messages." : "Nothing was found. A new chat starts with a mobile number."}</li>`}
    </ul>
  `;
}

// Somebody by their number, whether there is a chat with them or not.
function Start({ words, onDone }) {
  const [says, setSays] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => setSays(""), [words]);

  async function start() {
    if (busy) return;
    setBusy(true);
    const answer = await lookUp(words);
    setBusy(false);
    if (answer.says) return void setSays(answer.says);
    await begin(answer.person);
    openChatOf(answer.person.mobileNo);
    onDone();
  }
  return html`
    <li>
      <button type="button" class="row start" aria-busy=${busy} onClick=${start}>
        <span class="av" aria-hidden="true"><${Send} /></span>
        <span class="t"><b>Write to <bdi dir="ltr">${words.trim()}</bdi></b></span><span></span>
        <span class="s"><span>${busy ? "Looking for the number…" : "Start a chat with this number"}</span></span>
      </button>
      <p class="says bad" id="find-note" role="alert">${says}</p>
    </li>
  `;
}

async function lookUp(words) {
  const mine = account.value.mobileNo;
  if (digitsOf(words) === mine) return { says: "This is your own number." };
  try {
    const { data, errors = [] } = await client.value.api.lookup([words.toWellFormed()]);
    if (errors.length) return { says: errors[0].message };
    if (!data.length) return { says: "Nobody has this mobile number here." };
    // The server knows more ways to write a number.
    return data[0].mobileNo === mine ? { says: "This is your own number." } : { person: data[0] };
  } catch (error) {
    if (error.status === undefined) throw error;
    return { says: error.message };
  }
}

function Hit({ message, words, onDone }) {
  const { name } = list.value.find(({ peer }) => peer === message.peer) ?? {};
  const at = message.text.toLowerCase().indexOf(words.toLowerCase());
  const part = `${at > AROUND ? "…" : ""}${message.text.slice(Math.max(0, at - AROUND), at + 200)}`;
  function show() {
    jumpTo(message, words);
    openChatOf(message.peer);
    onDone();
  }
  return html`
    <li>
      <button type="button" class="row" onClick=${show}>
        <${Avatar} mobileNo=${message.peer} name=${name} />
        <span class="t"><b dir="auto">${name || readable(message.peer)}</b></span>
        <time datetime=${new Date(message.timestamp).toISOString()}>${shortTime(message.timestamp)}</time>
        <span class="s"><span dir="auto">${message.mine && "You: "}${marked(part, words)}</span></span>
      </button>
    </li>
  `;
}
