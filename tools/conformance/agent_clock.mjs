// The clock of the JavaScript agent, which the client is given: real time passes, and a case moves it on.

const timers = new Map();
let ahead = 0;
let wallError = 0;
let rightAt = 0;
let luck = null;
let numbers = 0;
let alarm = null;

/** Monotonic milliseconds, of the clock that all processes of this machine share. */
const now = () => Number(process.hrtime.bigint()) / 1e6 + ahead;

function later(run, milliseconds, isLimit = false) {
  const id = (numbers += 1);
  timers.set(id, { due: now() + Math.max(0, milliseconds), run, isLimit });
  arm();
  return () => void timers.delete(id);
}

/** As the client's option `clock` wants it. */
export const clock = {
  now,
  later: (run, milliseconds) => later(run, milliseconds),
  wall: () => Date.now() + ahead - rightAt + wallError,
  random: () => luck ?? Math.random(),
};

// The client gives its requests up by this: what was asked for must seem to take long when the clock is moved on.
AbortSignal.timeout = (milliseconds) => {
  const aborter = new AbortController();
  const reason = new DOMException("The operation timed out.", "TimeoutError");
  later(() => aborter.abort(reason), milliseconds, true);
  return aborter.signal;
};

const nextDue = () => Math.min(Infinity, ...[...timers.values()].map(({ due }) => due));

function arm() {
  clearTimeout(alarm);
  if (timers.size) alarm = setTimeout(ring, Math.min(Math.max(0, nextDue() - now()), 2 ** 31 - 1));
}

function ring() {
  const due = [...timers].filter(([, timer]) => timer.due <= now()).sort((a, b) => a[1].due - b[1].due);
  for (const [id, { run }] of due) if (timers.delete(id)) run();
  arm();
}

/** How many timers of the client are set. Limits of requests stay until they are over, as those of the platform do. */
export const pendingTimers = () => [...timers.values()].filter(({ isLimit }) => !isLimit).length;

/** Let everybody run who can, for some real milliseconds. */
export const settle = (milliseconds = 3) => new Promise((done) => setTimeout(done, milliseconds));

/** Move on to the next timer, at most so many seconds; what became due then has run. How many seconds it moved. */
export async function step(most) {
  const before = now();
  const moved = Math.max(0, Math.min(before + most * 1000, nextDue()) - before);
  ahead += moved;
  ring();
  await settle();
  return moved / 1000;
}

/** The wall clock is wrong by so many seconds. */
export function setWall(seconds) {
  wallError = seconds * 1000;
}

/** For the next case the wall clock is right: the server's does not know what this one was moved on. */
export function rightWall() {
  wallError = 0;
  rightAt = ahead;
}

/** Every random number of the client is this one, from 0 to below 1. null: chance again. */
export function setLuck(value) {
  luck = value;
}
