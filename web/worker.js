// The service worker's other side: installs it, and says when there is a newer version of the page.

import { BASE } from "./accounts.js";
import { go } from "./router.js";
import { html, signal } from "./vendor/preact.js";

const HOUR_MS = 3_600_000;

const newerVersion = signal(false); // this window shows an older version than a reload would
export const canInstall = signal(false); // the browser offers to put the page on the home screen

let offer = null;
let registration;

addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault(); // the browser's own bar; About has a button instead
  offer = event;
  canInstall.value = true;
});
addEventListener("appinstalled", () => (canInstall.value = false));

export async function install() {
  canInstall.value = false; // an offer can be used once
  await offer.prompt();
}

// Called when the page is there, so that what it loads does not compete with it. Without a worker everything works but
// opening the page without a network: browsers have none for pages that came by http:// from another machine. Says
// whether there is one.
export async function beginWorker() {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return false;
  const before = serviceWorker.controller;
  serviceWorker.addEventListener("controllerchange", () => (newerVersion.value = Boolean(before)));
  serviceWorker.addEventListener("message", ({ data }) => data?.chat && go("chat", data.chat));
  try {
    registration = await serviceWorker.register(new URL("web/sw.js", BASE), { scope: BASE.pathname });
  } catch {
    return false; // the person has switched workers or storage off, or the server has just changed: next time
  }
  let looked = Date.now();
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "visible" || Date.now() - looked < HOUR_MS) return;
    looked = Date.now();
    registration?.update().catch(() => undefined); // without a network there is nothing newer to be had
  });
  return true;
}

// The registration, if a worker is active: the way to show a notification on a phone.
export const activeWorker = () => (registration?.active ? registration : undefined);

// This window goes on with its own version until somebody loads it again: they may be in the middle of a sentence.
export function NewerVersion() {
  if (!newerVersion.value) return null;
  return html`
    <div id="newer-version" class="banner" role="status">
      <span>A newer version of this page is ready.</span>
      <button type="button" class="link" onClick=${() => location.reload()}>Load it</button>
    </div>
  `;
}
