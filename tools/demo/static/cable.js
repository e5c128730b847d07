// The network cable of one phone. It runs in the phone's window before the page's own script, and wraps what the page
// reaches the network with. While the cable is out nothing passes in either direction and nothing is closed: the page
// has to find out by itself. Connections and requests begun meanwhile hang. When it is in again, what is still wanted
// passes, in its order, as TCP would send it again.
//
// What it cannot hold back: the browser itself answers the server's pings on a socket that is open already. So a server
// learns of a pulled cable later than of a real one.
"use strict";

(() => {
  const NativeSocket = window.WebSocket;
  const nativeFetch = window.fetch.bind(window);
  const CONNECTING = 0;
  const OPEN = 1;
  const CLOSING = 2;
  const CLOSED = 3;
  const GIVEN_UP_MS = 2_000; // a browser that gets no answer to its close frame does not wait for long either
  const sockets = new Set();
  let isOut = false;
  let held = [];

  function pass(task) {
    if (isOut) held.push(task);
    else task();
  }

  // Fulfilled when the cable is in; rejected as fetch would be when the request is aborted before.
  function untilIn(signal) {
    if (!isOut) return Promise.resolve();
    return new Promise((resolve, reject) => {
      held.push(resolve);
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }

  class CabledSocket extends EventTarget {
    #native = null;
    #lost = false;
    #handlers = new Map();
    #binaryType = "blob";

    constructor(url, protocols = []) {
      super();
      this.url = new URL(url, document.baseURI).href.replace(/^http/, "ws");
      this.protocol = "";
      this.extensions = "";
      this.readyState = CONNECTING;
      sockets.add(this);
      pass(() => this.#open(protocols));
    }

    get bufferedAmount() {
      return this.#native?.bufferedAmount ?? 0;
    }

    get binaryType() {
      return this.#binaryType;
    }

    set binaryType(type) {
      this.#binaryType = type;
      if (this.#native) this.#native.binaryType = type;
    }

    send(data) {
      if (this.readyState === CONNECTING) throw new DOMException("The socket is not open yet.", "InvalidStateError");
      pass(() => this.#native?.readyState === OPEN && this.#native.send(data));
    }

    close(code, reason) {
      if (this.readyState >= CLOSING) return;
      const wasOut = isOut;
      this.readyState = CLOSING;
      pass(() => this.#native?.close(code, reason));
      if (!this.#native || wasOut) setTimeout(() => this.#end(new CloseEvent("close", { code: 1006 })), GIVEN_UP_MS);
    }

    // The connection breaks, for the page and for the server.
    lose() {
      this.#lost = true;
      this.#native?.close();
    }

    // onopen and so on, as WebSocket has them.
    handler(type, handle) {
      const before = this.#handlers.get(type);
      if (handle === undefined) return before ?? null;
      if (before) this.removeEventListener(type, before);
      this.#handlers.set(type, handle);
      if (handle) this.addEventListener(type, handle);
      return handle;
    }

    #open(protocols) {
      if (this.readyState !== CONNECTING) return; // given up while the cable was out
      this.#native = new NativeSocket(this.url, protocols);
      this.#native.binaryType = this.#binaryType;
      const on = (type, happened) => this.#native.addEventListener(type, (event) => pass(() => happened(event)));
      on("open", () => this.#opened());
      on("message", ({ data, origin }) => this.#received(new MessageEvent("message", { data, origin })));
      on("error", () => this.readyState !== CLOSED && this.dispatchEvent(new Event("error")));
      on("close", ({ code, reason, wasClean }) => {
        const how = this.#lost ? { code: 1006 } : { code, reason, wasClean };
        this.#end(new CloseEvent("close", how));
      });
    }

    #opened() {
      if (this.readyState !== CONNECTING) return;
      this.readyState = OPEN;
      this.protocol = this.#native.protocol;
      this.dispatchEvent(new Event("open"));
    }

    #received(event) {
      if (this.readyState === OPEN) this.dispatchEvent(event);
    }

    #end(event) {
      if (this.readyState === CLOSED) return;
      this.readyState = CLOSED;
      sockets.delete(this);
      this.dispatchEvent(event);
    }
  }

  for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED })) {
    CabledSocket[name] = value;
    CabledSocket.prototype[name] = value;
  }
  for (const type of ["open", "message", "error", "close"]) {
    Object.defineProperty(CabledSocket.prototype, `on${type}`, {
      get() {
        return this.handler(type);
      },
      set(handle) {
        this.handler(type, handle);
      },
    });
  }

  async function cabledFetch(input, init) {
    const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined);
    await untilIn(signal);
    const answer = await nativeFetch(input, init);
    await answer.clone().arrayBuffer(); // the whole of it has come
    await untilIn(signal);
    return answer;
  }

  window.WebSocket = CabledSocket;
  window.fetch = cabledFetch;
  window.cable = {
    get isOut() {
      return isOut;
    },
    pull() {
      isOut = true;
    },
    // As a machine does whose network is back, it tells the page so.
    plugIn() {
      isOut = false;
      const passing = held;
      held = [];
      for (const task of passing) task();
      window.dispatchEvent(new Event("online"));
    },
    // Every connection breaks, and the page may connect anew at once.
    lose() {
      for (const socket of [...sockets]) socket.lose();
    },
  };
})();
