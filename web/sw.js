// The service worker: keeps the files of the page (the shell), so that it opens without a network.
//
// It answers for the page itself and the files below web/, and for nothing else: what people say and what the server
// knows of them is never in its caches. A window gets all its files from one version, whatever was installed meanwhile:
// modules of two versions would not fit together.

// Each file by its path below the page's address, with its SHA-256. The server writes it when it serves this file, so
// that a changed file makes a changed worker, which browsers install.
const FILES = {};
const VERSION = "";

const BASE = new URL("../", self.location.href);
const OURS = `wm-shell ${BASE.pathname} `; // no space is in a path: another page of this host has other caches
const SHELL = OURS + VERSION;
const WINDOWS = `${OURS}windows`; // which window shows which version
const CODE = /\.(js|css)$/; // what must be of one version
const SETTLED_MS = 60_000; // a window that is not there yet this long after it was asked for will not come

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(removeOld()));
self.addEventListener("fetch", (event) => {
  const path = ofShell(event.request);
  if (path === undefined) return;
  if (event.request.destination === "iframe") event.waitUntil(passOn(event));
  else event.respondWith(path === "" ? openPage(event) : file(event, path));
});
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(openChat(event.notification.data));
});

async function install() {
  const shell = await caches.open(SHELL);
  const done = await Promise.allSettled(Object.keys(FILES).map((path) => keep(shell, path)));
  const failed = done.find(({ status }) => status === "rejected");
  if (failed) {
    // The server has just got another version, or some of the servers have. The browser tries again later.
    await caches.delete(SHELL);
    throw failed.reason;
  }
  await self.skipWaiting(); // for windows that open from now on; those that are open keep their version
}

// Gets a file of this very version, or fails.
async function keep(shell, path) {
  const url = new URL(path, BASE);
  const answer = await fetch(url, { cache: "no-cache" });
  const digest = await crypto.subtle.digest("SHA-256", await answer.clone().arrayBuffer());
  const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (!answer.ok || hex !== FILES[path]) throw new Error(`another version of ${path}`);
  await shell.put(url, answer.clone());
  return answer;
}

// The path below the page's address, if this worker answers for it.
function ofShell({ method, mode, url }) {
  const asked = new URL(url);
  if (method !== "GET" || asked.origin !== BASE.origin || !asked.pathname.startsWith(BASE.pathname)) return undefined;
  const path = asked.pathname.slice(BASE.pathname.length);
  if (mode === "navigate") return path === "" ? path : undefined;
  return path.startsWith("web/") ? path : undefined;
}

async function openPage(event) {
  const shell = await caches.open(SHELL);
  const page = (await shell.match(BASE)) ?? (await keep(shell, "").catch(() => undefined));
  // Without a page of this version (the browser has emptied the cache) the server's is shown, with the server's files.
  await noteVersion(event.resultingClientId, page ? SHELL : "");
  return page ?? fetch(event.request);
}

// Who may show the page in a frame is in its head, and another program at this address (the demo) may say otherwise than
// the one from which the page was kept. So in a frame the page comes from the server, and all of its files.
const passOn = (event) => noteVersion(event.resultingClientId, "");

async function file(event, path) {
  const name = await versionOf(event.clientId);
  if (name === "") return fetch(event.request);
  const shell = await caches.open(name);
  const kept = await shell.match(new URL(path, BASE));
  if (kept) return kept;
  if (name === SHELL && path in FILES) return keep(shell, path).catch(() => Response.error());
  return CODE.test(path) ? Response.error() : fetch(event.request);
}

const versions = new Map(); // by window, what is noted in the cache: the browser ends and restarts a worker at will

const recordOf = (id) => new URL(`web/windows/${id}`, BASE);

async function noteVersion(id, name) {
  versions.set(id, name);
  const windows = await caches.open(WINDOWS);
  await windows.put(recordOf(id), new Response(JSON.stringify({ id, name, at: Date.now() })));
}

async function versionOf(id) {
  if (!versions.has(id)) {
    const noted = await (await caches.open(WINDOWS)).match(recordOf(id));
    versions.set(id, noted ? (await noted.json()).name : await versionOfUnknown(id));
  }
  return versions.get(id);
}

// Another page of this host (the demo, the documentation of the interface) may load our files, too, and some that the page
// does not need. It gets the server's.
async function versionOfUnknown(id) {
  const url = (await self.clients.get(id))?.url;
  return url === undefined || new URL(url).pathname === BASE.pathname ? SHELL : "";
}

// Removes versions that no window shows any more.
async function removeOld() {
  const windows = await caches.open(WINDOWS);
  const open = new Set((await self.clients.matchAll({ type: "window", includeUncontrolled: true })).map(({ id }) => id));
  const shown = new Set([SHELL, WINDOWS]);
  for (const key of await windows.keys()) {
    const { id, name, at } = await (await windows.match(key)).json();
    if (open.has(id) || Date.now() - at < SETTLED_MS) shown.add(name);
    else await windows.delete(key);
  }
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(OURS) && !shown.has(name)).map((name) => caches.delete(name)));
}

// chat: the number; page: the address of the window that showed the notification, without what follows the #.
async function openChat({ chat, page }) {
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const shown = windows.find(({ url }) => url.split("#")[0] === page);
  if (!shown) return self.clients.openWindow(`${page}#/chat/${chat}`);
  shown.postMessage({ chat });
  return shown.focus();
}
