// The messages of the open chat, as far as they are in the window of its history.

import { Bubble } from "./bubble.js";
import { atEnd, atStart, messages, peer, shown } from "./history.js";
import { typing } from "./people.js";
import { useScrolling } from "./scrolling.js";
import { Down, Lock } from "./symbols.js";
import { html, useRef } from "./vendor/preact.js";
import { dayLine } from "./words.js";

const TOGETHER_MS = 5 * 60_000; // bubbles of one writer within this time stand close together

const isNew = (message) => !message.mine && message.state === "new";

// place: the key of what was opened. found: {n, words} of a message that was searched for, or null. name: of the other person.
export function Log({ place, found, name }) {
  const ref = useRef(null);
  const view = useScrolling(ref, place, found);
  const all = messages.value;
  const words = found?.words ?? "";
  return html`
    <div class="messages">
      <div id="log" class="log" role="log" aria-live="off" aria-label=${`Messages with ${name}`} tabindex="0" ref=${ref} onScroll=${view.onScroll}>
        <ol>
          ${atStart.value && shown.value === place && html`
            <li key="kept" class="sys"><${Lock} />Messages are kept only until delivered. The server stores no chat history.</li>
          `}
          ${rows(all, view, found, words)}
          ${atEnd.value && typing.value.has(peer.value) && html`
            <li key="typing" class="typing"><span class="dots" aria-hidden="true"><i></i><i></i><i></i></span><span><bdi>${name}</bdi> is typing…</span></li>
          `}
        </ol>
      </div>
      ${(view.away || !atEnd.value) && html`
        <button type="button" id="newer" class=${`newer${view.below ? " unread" : ""}`} aria-label=${`${view.below > 0 ? `${view.below} new. ` : ""}Jump to the newest message`} onClick=${view.follow}>
          ${view.below > 0 && `${view.below} new`}<${Down} />
        </button>
      `}
    </div>
  `;
}

// A line for each day, one before what is new, and the bubbles.
function rows(all, { firstNew, openedAt }, found, words) {
  const made = [];
  all.forEach((message, at) => {
    const before = all[at - 1];
    const isNewDay = !before || dayOf(before) !== dayOf(message);
    if (isNewDay) made.push(html`<li key=${`day ${dayOf(message)}`} class="day">${dayLine(message.timestamp)}</li>`);
    if (message.n === firstNew) made.push(html`<li key="new" class="new">New messages</li>`);
    const goesOn = !isNewDay && message.n !== firstNew && before.mine === message.mine && message.timestamp - before.timestamp < TOGETHER_MS;
    const next = all[at + 1];
    const quiet = message.state !== "failed" && next?.mine === true && next.state === message.state;
    made.push(html`
      <${Bubble} key=${message.n} message=${message} goesOn=${goesOn} quiet=${quiet} fresh=${message.n > openedAt} hit=${message.n === found?.n} words=${words} />
    `);
  });
  return made;
}

const dayOf = ({ timestamp }) => new Date(timestamp).toDateString();
