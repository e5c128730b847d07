// Settings: the list of their pages, and beside it one of them. `arg` is the page, "" the list (on a phone).

import { Avatar } from "./avatar.js";
import { go, href } from "./router.js";
import { About } from "./settings-about.js";
import { DeleteAccount, Number, Password } from "./settings-account.js";
import { BlockedPeople } from "./settings-blocked.js";
import { Devices, Sessions } from "./settings-devices.js";
import { Events } from "./settings-events.js";
import { LogOut } from "./settings-logout.js";
import { Notifications } from "./settings-notifications.js";
import { Privacy } from "./settings-privacy.js";
import { Profile } from "./settings-profile.js";
import { Storage } from "./settings-storage.js";
import { account, switchAccount } from "./state.js";
import * as symbols from "./symbols.js";
import { useTitle } from "./title.js";
import { html, useLayoutEffect, useRef } from "./vendor/preact.js";
import { readable } from "./words.js";

const PAGES = [
  ["profile", "Profile", symbols.Person, Profile],
  ["privacy", "Privacy", symbols.Lock, Privacy],
  ["notifications", "Notifications", symbols.Bell, Notifications],
  ["devices", "Devices", symbols.Device, Devices],
  ["sessions", "Sessions", symbols.Clock, Sessions],
  ["events", "What happened", symbols.History, Events],
  ["blocked", "Blocked people", symbols.Blocked, BlockedPeople],
  ["password", "Password", symbols.Key, Password],
  ["number", "Mobile number", symbols.Hash, Number],
  ["storage", "Messages in this browser", symbols.Shelf, Storage],
  ["about", "About", symbols.Info, About],
  ["logout", "Log out", symbols.Leave, LogOut],
  ["delete", "Delete account", symbols.Bin, DeleteAccount],
];

export function Settings({ arg }) {
  const [name, words, , View] = PAGES.find(([known]) => known === arg) ?? PAGES[0];
  const open = arg !== "";
  useTitle(open ? words : "Settings");
  return html`
    <main class="app settings" data-view=${open ? "detail" : "list"}>
      <nav aria-label="Settings">
        <header class="bar">
          <button type="button" class="icon" aria-label="Back to the chats" title="Back to the chats" onClick=${() => go()}><${symbols.Back} /></button>
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
          <a class="icon back" href=${href("settings")} aria-label="Back to the settings"><${symbols.Back} /></a>
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
