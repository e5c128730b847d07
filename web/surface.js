// What programs around the page may use, such as a page that shows it in a frame: `window.wm`, and an event `wm:frame`
// on `window` for each frame of the connection (`detail: {direction: "in" | "out", frame}`). There are no tokens in it.

import { client, connection, sendSoon } from "./opened.js";
import { openChatOf } from "./router.js";
import { account } from "./state.js";

window.wm = Object.freeze({
  // {name, until?, code?, reason?}, as in docs/clients.md.
  get state() {
    return { ...connection.value };
  },
  // {mobileNo, name}, or null.
  get account() {
    return account.value && { mobileNo: account.value.mobileNo, name: account.value.name };
  },
  // Resolves with the message when it is kept; it is sent as soon as there is a connection.
  async send(to, text) {
    const message = await client.value.post(to, text);
    sendSoon();
    return message;
  },
  openChat(mobileNo) {
    openChatOf(mobileNo);
  },
});
