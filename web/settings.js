// Settings: the list of their pages, and beside it one of them. `arg` is the page, "" the list (on a phone).

import { Avatar } from "./avatar.js";
import { useTitle } from "./chat_list.js";
import { lazy } from "./parts.js";
import { go, href } from "./router.js";
import { account, switchAccount } from "./state.js";
import { Back, Lock } from "./symbols.js";
import * as symbols from "./symbols-more.js";
import { html, useLayoutEffect, useRef } from "./vendor/preact.js";
import { readable } from "./words.js";

// A page is loaded when it is opened.
const page = (file, name) => lazy(() => import(`./settings-${file}.js`).then((module) => module[name]));

const PAGES = [
  ["profile", "Profile", symbols.Person, page("profile", "Profile")],
  ["privacy", "Privacy", Lock, page("privacy", "Privacy")],
  ["notifications", "Notifications", symbols.Bell, page("notifications", "Notifications")],
  ["devices", "Devices", symbols.Device, page("devices", "Devices")],
  ["sessions", "Sessions", symbols.Clock, page("devices", "Sessions")],
  ["events", "What happened", symbols.History, page("events", "Events")],
  ["blocked", "Blocked people", symbols.Blocked, page("blocked", "BlockedPeople")],
  ["password", "Password", symbols.Key, page("account", "Password")],
  ["number", "Mobile number", symbols.Hash, page("account", "Number")],
  ["storage", "Messages in this browser", symbols.Shelf, page("storage", "Storage")],
  ["about", "About", symbols.Info, page("about", "About")],
  ["logout", "Log out", symbols.Leave, page("logout", "LogOut")],
  ["delete", "Delete account", symbols.Bin, page("account", "DeleteAccount")],
];

// For later, when there may be no network.
export const loadPages = () => Promise.all(PAGES.map(([, , , View]) => View.load()));

export function Settings({ arg }) {
  const [name, words, , View] = PAGES.find(([known]) => known === arg) ?? PAGES[0];
  const open = arg !== "";
  useTitle(open ? words : "Settings");
  return html`
    <main class="app settings" data-view=${open ? "detail" : "list"}>
      <nav aria-label="Settings">
        <header class="bar">
          <button type="button" class="icon" aria-label="Back to the chats" title="Back to the chats" onClick=${() => go()}><${Back} /></button>
          <${open ? "h2" : "h1"}>Settings<//>
        </header>
        <${Me} />
        <ul class="pages">
          ${PAGES.map(([page, label, symbol]) => html`
            <li key=${page}><a href=${href("settings", page)} aria-current=${page === name ? "page" : undefined} data-chosen=${open}
              class=${page === "delete" ? "bad" : ""}><${symbol} />${label}</a></li>
          `)}
        </ul>
        <button type="button" class="another" onClick=${another}><${symbols.Switch} />Another account in this window</button>
      </nav>
      <section class="one" aria-label=${words}>
        <header class="bar">
          <a class="icon back" href=${href("settings")} aria-label="Back to the settings"><${Back} /></a>
          <${Heading} key=${name} words=${words} open=${open} />
        </header>
        <div class="scroll"><div class="sheet"><${View} key=${name} /></div></div>
      </section>
    </main>
  `;
}

// The next person begins at the chats, not in these settings.
function another() {
  go("", "", { replace: true });
  switchAccount();
}

function Me() {
  const { mobileNo, name } = account.value;
  return html`
    <div class="me">
      <${Avatar} mobileNo=${mobileNo} name=${name} />
      <span class="who"><strong><bdi>${name}</bdi></strong><span class="sub">${readable(mobileNo)}</span></span>
    </div>
  `;
}

// A page that has just been opened begins at its heading, for the keyboard and for screen readers.
function Heading({ words, open }) {
  const heading = useRef(null);
  useLayoutEffect(() => void (open && heading.current.focus({ preventScroll: true })), [open]);
  return html`<${open ? "h1" : "h2"} tabindex="-1" ref=${heading}>${words}<//>`;
}
