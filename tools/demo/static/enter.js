// In a phone's window: logs its person in, as the page's own door would, and then loads the page.

import { databaseName, rememberAccount } from "/web/accounts.js";
import { Api, IndexedDBStore } from "/web/client/index.js";

const phone = new URLSearchParams(location.search).get("profile");
const INSTANCE = `demo:${phone}:instance`; // localStorage: which data directory this browser knows
const URL_OF_SERVER = new URL("/", location).href;

const { instance, people } = await (await fetch("/demo/people", { headers: { "X-Demo": "1" } })).json();
const { mobileNo, name, password } = people.find((one) => one.phone === phone);
const other = people.find((one) => one.phone !== phone);
const database = databaseName(mobileNo);

// The server has forgotten everything since, so this phone does, too.
if (localStorage.getItem(INSTANCE) !== instance) await IndexedDBStore.wipe(database);

const store = await IndexedDBStore.open(database);
if (!(await store.load()).session) {
  const device = { deviceId: `demo-${phone}`, deviceName: "The demo" };
  await store.saveSession(await new Api(URL_OF_SERVER).logIn({ mobileNo, password, ...device }));
  await store.describe(other.mobileNo, { name: other.name, at: Date.now() }); // they know each other
}
await store.close();
rememberAccount({ mobileNo, name });
localStorage.setItem(INSTANCE, instance);
// To its person each phone is the window in front, wherever the focus of the demo's page is: what it shows is read.
document.hasFocus = () => true;

// The demo's page listens to this window before the first frame passes.
const tell = (what, detail) => window.parent.dispatchEvent(new CustomEvent(what, { detail: { phone, ...detail } }));
tell("demo:entered", { window, database });
await import("/web/app.js");
tell("demo:begun", await import("/web/people.js"));
