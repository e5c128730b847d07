// Mounts the page: the door while nobody is logged in, otherwise the view that the address names.
//
// How a view is added: write a component that takes {arg} (what follows the view's name in the address, "" if nothing
// does) in a file of its own, import it here, and give it a row in VIEWS. `#/settings/privacy` is the view "settings"
// with the arg "privacy". Links are made with href("settings", "privacy") of router.js, which also has go() and back().
// The title of the window is set by the view: useTitle() of title.js. Everything shared is in state.js, dialogs in dialog.js, menus in
// menu.js, drawn symbols in symbols.js, and the words for numbers and times in words.js.

import { Chats } from "./chats.js";
import { Door } from "./door.js";
import { beginNotifications } from "./notifications.js";
import { route } from "./router.js";
import { Settings } from "./settings.js";
import "./surface.js";
import { account, begin, ready } from "./state.js";
import { html, render } from "./vendor/preact.js";
import { beginWorker } from "./worker.js";

const VIEWS = {
  "": Chats,
  chat: Chats, // beside the list, or instead of it on a phone
  settings: Settings,
};

function App() {
  if (!ready.value) return null;
  if (!account.value) return html`<${Door} />`;
  const { view, arg } = route.value;
  return html`<${VIEWS[view] ?? Chats} arg=${arg} />`;
}

const root = document.createElement("div");
root.id = "app";
document.body.append(root);
render(html`<${App} />`, root);
await begin();
beginNotifications();
beginWorker();
