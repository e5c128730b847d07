// A program in TypeScript that uses the package: compiled by test_types.py, and not run.

import {
  Api, ApiError, Client, ClientError, IndexedDBStore, MemoryStore, SendFailed, StoreMismatch,
  type ClientOptions, type Events, type Message, type Session, type State, type Store,
} from "whatsapp-mini-client";
import { FileStore } from "whatsapp-mini-client/file-store";

/** As `ws` has it: its events are its own, and it has more than a browser's and less. */
interface WsEvent { data: string | Uint8Array; type: string; target: Ws }
declare class Ws {
  constructor(address: string | URL, protocols?: string | string[], options?: { origin?: string });
  onmessage: ((event: WsEvent) => void) | null;
  onclose: ((event: { code: number; reason: string; target: Ws }) => void) | null;
  onerror: ((event: { error: unknown }) => void) | null;
  send(data: string | Uint8Array, cb?: (error?: Error) => void): void;
  close(code?: number, data?: string): void;
  terminate(): void;
}

export async function bot(): Promise<void> {
  const store: Store = await FileStore.open("bot.store");
  const options: ClientOptions = { mobileNo: "919800000001", password: "x", store, WebSocket: Ws };
  const client = new Client("http://127.0.0.1:5000", options);
  const end: () => void = client.on("message", ({ text }) => void text.length);
  client.on("tick", ({ ids, state }) => void [ids.length, state]);
  client.on("state", (state: State) => void [state.name, state.until, state.cause]);
  // @ts-expect-error There is no such event.
  client.on("mesage", () => {});
  client.onMessage = async (message: Message) => client.send(message.peer, message.text, { id: `echo-${message.id}` });
  client.onMessage = null;
  for await (const { peer } of client.messages()) await client.post(peer, "hi");
  try {
    await client.run();
  } catch (error) {
    if (error instanceof ApiError) error.retryAfter?.toFixed();
    if (error instanceof SendFailed) error.id.trim();
    if (error instanceof StoreMismatch || error instanceof ClientError) error.message.trim();
  }
  const failed: Message[] = await client.failed();
  const session: Session = await new Api(new URL("http://127.0.0.1")).logIn({ mobileNo: "1", password: "x" });
  const presence: Events["presence"] = { mobileNo: "1", online: true };
  void [failed, session.token, presence, (await client.api.me()).about, new MemoryStore().history];
  end();
  await client.stop({ seconds: 1 });
}

export async function page(): Promise<void> {
  const store = await IndexedDBStore.open("919800000001");
  const client = new Client("http://127.0.0.1:5000", { store });
  store.changed = (peers: string[]) => void peers.join();
  const [first] = await store.chats();
  void [first?.last?.text, (await store.messages("1", { limit: 2 })).length, client.session?.token];
}
