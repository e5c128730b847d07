// Mounts the page: the door while nobody is logged in, otherwise the view that the address names.
//
// How a view is added: write a component that takes {arg} (what follows the view's name in the address, "" if nothing
// does) in a file of its own, and give it a row in VIEWS. `#/settings/privacy` is the view "settings"
// with the arg "privacy". Links are made with href("settings", "privacy") of router.js, which also has go() and back().
// The title of the window is set by the view: useTitle() of chat_list.js. Everything shared is in state.js, dialogs in
// dialog.js, menus in menu.js, drawn symbols in symbols.js, and the words for numbers and times in words.js.

import { BASE, choicesOf, shownAccount } from "./accounts.js";
import { ask, lazy } from "./parts.js";
import { route } from "./router.js";
import { account, begin, openChat, ready } from "./state.js";
import "./surface.js";
import { effect, html, render } from "./vendor/preact.js";
import { beginWorker } from "./worker.js";

// Views are loaded when they are needed, with their styles: somebody new waits for the door only.
const Door = view("door.js", "Door", ["forms.css", "door.css"]);
const Chats = view("chats.js", "Chats", ["chats.css"]);
const Settings = view("settings.js", "Settings", ["forms.css", "settings.css"]);
const VIEWS = { __proto__: null, "": Chats, chat: Chats /* beside the list, or instead of it on a phone */, settings: Settings };

function App() {
  if (!ready.value) return null;
  const { view: name, arg } = route.value;
  const View = account.value ? (VIEWS[name] ?? Chats) : Door;
  return html`<${View} key=${View} arg=${arg} />`;
}

function view(file, name, styles) {
  const load = async () => (await Promise.all([import(`./${file}`), ...styles.map(styled)]))[0][name];
  return lazy(load, "main");
}

const styles = new Map(); // by name, what is loaded or is there

function styled(name) {
  if (!styles.has(name)) {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL(`web/${name}`, BASE) });
    const there = new Promise((resolve, reject) => {
      const failed = () => (styles.delete(name), link.remove(), reject(new TypeError(`${name} did not come`)));
      Object.assign(link, { onload: resolve, onerror: failed });
    });
    styles.set(name, there);
    document.head.append(link);
  }
  return styles.get(name);
}

// Before the database has said whether the session lives: what will most probably be shown.
if (shownAccount()) {
  ask("client", "chats", ...(openChat.value ? ["chat"] : []));
  (VIEWS[route.value.view] ?? Chats).load().catch(() => undefined); // the view says it
} else {
  ask("door");
  Door.load().catch(() => undefined);
}

const KEYBOARD_PX = 100; // a bar of the browser takes less
const root = document.createElement("div");
root.id = "app";
document.body.append(root);
render(html`<${App} />`, root);
fitAboveKeyboard();
await begin();
effect(() => void (account.value && choicesOf(account.value.mobileNo).notify && beginNotifications()));
const hasWorker = await beginWorker();
// The worker gets all files. Where there is none, the settings come a moment later: when they are wanted there may be no
// network.
const LATER_MS = 3_000;
if (!hasWorker) effect(() => void (account.value && setTimeout(() => loadSettings().catch(() => undefined), LATER_MS)));

async function loadSettings() {
  await Settings.load();
  await (await import("./settings.js")).loadPages();
}

// The keyboard of a phone covers the lower part of a page on iOS. Elsewhere the page gets smaller: index.html asks for it.
function fitAboveKeyboard() {
  const { visualViewport: seen } = window;
  seen?.addEventListener("resize", () => {
    const isCovered = seen.scale === 1 && innerHeight - seen.height > KEYBOARD_PX;
    root.style.blockSize = isCovered ? `${seen.height}px` : "";
    if (isCovered) scrollTo(0, 0); // the browser has moved the page up, so that the box is seen
  });
}

async function beginNotifications() {
  (await import("./notifications.js")).beginNotifications();
}
