// The list of chats, and beside it the open one.

import { Avatar } from "./avatar.js";
import { href } from "./router.js";
import { account, openChat } from "./state.js";
import { Gear } from "./symbols.js";
import { html } from "./vendor/preact.js";
import { readable } from "./words.js";

export function Chats() {
  const { mobileNo, name } = account.value;
  return html`
    <div class="app" data-view=${openChat.value ? "detail" : "list"}>
      <nav aria-label="Conversations">
        <header class="bar">
          <${Avatar} mobileNo=${mobileNo} name=${name} />
          <div class="who"><h2 dir="auto">${name}</h2><span class="sub">${readable(mobileNo)}</span></div>
          <a class="icon" href=${href("settings")} aria-label="Settings" title="Settings"><${Gear} /></a>
        </header>
      </nav>
      <main></main>
    </div>
  `;
}
