// Mounts the page: the door while nobody is logged in, otherwise the view that the address names.
//
// How a view is added: write a component that takes {arg} (what follows the view's name in the address, "" if nothing
// does) in a file of its own, and give it a row in VIEWS. `#/settings/privacy` is the view "settings"
// with the arg "privacy". Links are made with href("settings", "privacy") of router.js, which also has go() and back().
// The title of the window is set by the view: useTitle() of title.js. Everything shared is in state.js, dialogs in
// dialog.js, menus in menu.js, drawn symbols in symbols.js, and the words for numbers and times in words.js.

import { BASE } from "./accounts.js";
import { beginNotifications } from "./notifications.js";
import { route } from "./router.js";
import { account, begin, ready } from "./state.js";
import "./surface.js";
import { effect, html, render, signal } from "./vendor/preact.js";
import { beginWorker } from "./worker.js";

// Views are loaded when they are needed, with their styles: somebody new waits for the door only.
const loadDoor = () => styled("door.css", import("./door.js").then(({ Door }) => Door));
const loadChats = () => styled("chats.css", import("./chats.js").then(({ Chats }) => Chats));
const VIEWS = {
  "": loadChats,
  chat: loadChats, // beside the list, or instead of it on a phone
  settings: () => styled("settings.css", import("./settings.js").then(({ Settings }) => Settings)),
};
const components = signal(new Map()); // by what loads them; null while they are loaded

function App() {
  if (!ready.value) return null;
  const { view, arg } = route.value;
  const load = account.value ? (VIEWS[view] ?? loadChats) : loadDoor;
  const component = components.value.get(load);
  if (component) return html`<${component} arg=${arg} />`;
  if (component === undefined) show(load);
  return null;
}

// Somebody who is logged in gets the settings, too, a moment later: when they want them there may be no network.
const LATER_MS = 3_000;
effect(() => void (account.value && setTimeout(() => components.peek().has(VIEWS.settings) || show(VIEWS.settings), LATER_MS)));

async function show(load) {
  const set = (component) => (components.value = new Map(components.value).set(load, component));
  set(null);
  set(await load().catch(() => Broken));
}

async function styled(name, loading) {
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL(`web/${name}`, BASE) });
  const there = new Promise((resolve, reject) => Object.assign(link, { onload: resolve, onerror: reject }));
  document.head.append(link);
  return (await Promise.all([loading, there]))[0];
}

function Broken() {
  return html`
    <main class="hint" role="alert">
      <p>A part of the page could not be loaded.</p>
      <button type="button" class="main" onClick=${() => location.reload()}>Try again</button>
    </main>
  `;
}

const root = document.createElement("div");
root.id = "app";
document.body.append(root);
render(html`<${App} />`, root);
await begin();
beginNotifications();
beginWorker();
