// Answers each message with its own text. Killed at any moment and started again, it answers each message once.
import { Client } from "../clients/js/src/index.js";
import { FileStore } from "../clients/js/src/file-store.js";

const { WHATSAPP_MINI_NUMBER: mobileNo, WHATSAPP_MINI_PASSWORD: password, WHATSAPP_MINI_URL } = process.env;
const store = await FileStore.open(`echo-${mobileNo}.jsonl`);
const me = new Client(WHATSAPP_MINI_URL ?? "http://127.0.0.1:5000", { mobileNo, password, store });

me.on("state", ({ name }) => console.error(name));
await me.start();
for await (const message of me.messages()) {
  await me.post(message.peer, message.text, { id: `echo-${message.id}`.slice(0, 128) });
}
