// The WebSocket: opens it with a ticket, reconnects when it breaks, and reports its state.

import * as api from "./api.js";

const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;
const STEADY_MS = 10_000; // a connection that lived this long resets the backoff
const HELLO_MS = 10_000;

// Close codes that say nothing about what was sent last: the close was intended, or a part of the service was away.
const HARMLESS = new Set([1000, 1001, 1008, 1012, 1013]);
const blames = (code) => (code < 4000 ? !HARMLESS.has(code) : code === 4503);

// Full jitter, so that thousands of clients of one dead server do not reconnect at once.
function delay(attempt, retryAfter) {
  const limit = Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
  if (retryAfter === undefined) return Math.random() * limit;
  return retryAfter * 1000 + Math.random() * Math.min(limit, 1000);
}

export class Line {
  // on.state({phase: "connecting"|"open"|"pausing"|"stopped", until?, why?, code?, blame?}), on.frames([frame, …])
  // blame: unanswered messages may be the reason for the close
  constructor(token, on) {
    this.token = token;
    this.on = on;
    this.attempt = 0;
    this.round = 0; // events of an older round are ignored
    this.ready = false;
  }

  async connect() {
    this.stop();
    const round = this.round;
    this.on.state({ phase: "connecting" });
    let ticket;
    try {
      ticket = await api.ticket(this.token);
    } catch (error) {
      if (round !== this.round) return;
      if (error.status === 401) this.on.state({ phase: "stopped", code: 401, why: error.message });
      else this._pause({ retryAfter: error.retryAfter, why: error.message });
      return;
    }
    if (round === this.round) this._open(ticket, round);
  }

  // Closes it; connect() opens it again.
  stop() {
    this.round += 1;
    this.ready = false;
    clearTimeout(this.timer);
    this.socket?.close(1000);
    this.socket = null;
  }

  // The connection does not answer: reconnect without waiting for the network's timeout.
  giveUp(why, blame = false) {
    this.stop();
    this._pause({ why, blame });
  }

  send(frame) {
    if (!this.ready) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  _open(ticket, round) {
    const address = new URL(`?ticket=${encodeURIComponent(ticket)}`, api.BASE);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address, ["wm.v1"]);
    this.socket = socket;
    this.retryAfter = undefined;
    this.opened = Date.now();
    this.timer = setTimeout(() => this.giveUp("The server did not answer."), HELLO_MS);
    socket.onmessage = (event) => round === this.round && this._read(JSON.parse(event.data));
    socket.onclose = (event) => round === this.round && this._closed(event);
  }

  _read(data) {
    const frames = Array.isArray(data) ? data : [data];
    for (const frame of frames) {
      if (frame.type === "hello") {
        clearTimeout(this.timer);
        this.ready = true;
        this.on.state({ phase: "open" });
      }
      if (frame.type === "error" && frame.code === "draining") this.retryAfter = frame.retryAfter;
    }
    this.on.frames(frames);
  }

  _closed({ code, reason }) {
    const steady = this.ready && Date.now() - this.opened > STEADY_MS;
    this.stop();
    if (steady) this.attempt = 0;
    const blame = blames(code);
    if (code >= 4500 && code <= 4999) this.on.state({ phase: "stopped", code, why: reason, blame });
    else this._pause({ retryAfter: this.retryAfter, why: reason || "The connection was lost.", blame });
  }

  _pause({ retryAfter, why, blame = false }) {
    const wait = delay(this.attempt, retryAfter);
    this.attempt += 1;
    this.timer = setTimeout(() => this.connect(), wait);
    this.on.state({ phase: "pausing", until: Date.now() + wait, why, blame });
  }
}
