// What the pages of the settings have in common.

import { sentence } from "./form.js";
import { html, useCallback, useEffect, useRef, useState } from "./vendor/preact.js";

// What `load` gives: {data} when it is there, {error} when it was refused; reload() asks again. While it is asked again
// the former data stay.
export function useLoaded(load) {
  const [state, setState] = useState({});
  const gone = useRef(false);
  const reload = useCallback(async () => {
    setState((before) => ({ data: before.data }));
    const next = await refusalOf(async () => setUnlessGone({ data: await load() }));
    if (next) setUnlessGone({ error: next });
  }, []);
  const setUnlessGone = (next) => gone.current || setState(next);
  useEffect(() => {
    reload();
    return () => (gone.current = true);
  }, []);
  return { ...state, reload };
}

// Does something; the refusal, if the server refused. What is no refusal is thrown.
export async function refusalOf(task) {
  try {
    await task();
    return undefined;
  } catch (error) {
    if (error.status === undefined) throw error;
    return error;
  }
}

// What was loaded, or that it is being loaded, or why it cannot be shown. children: a function of the data.
export function Loaded({ of, children }) {
  if (of.data !== undefined) return children(of.data);
  if (of.error) return html`<${Problem} error=${of.error} onAgain=${of.reload} />`;
  return html`<p class="note" role="status">One moment …</p>`;
}

export function Problem({ error, onAgain }) {
  return html`
    <div class="problem" role="alert">
      <p>${sentence(error)}</p>
      ${onAgain && html`<button type="button" class="quiet" onClick=${onAgain}>Try again</button>`}
    </div>
  `;
}

// A button that does something at the server; what is refused is said by `onRefused`.
export function Act({ words, label, look = "quiet", does, onRefused }) {
  const [busy, setBusy] = useState(false);
  async function act() {
    setBusy(true);
    const error = await refusalOf(does);
    setBusy(false);
    onRefused(error);
  }
  return html`<button type="button" class=${look} disabled=${busy} aria-label=${label} onClick=${act}>${words}</button>`;
}

// Gives a text to the person as a file.
export function download(name, text, type = "application/json") {
  const address = URL.createObjectURL(new Blob([text], { type }));
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // the browser reads it after the click
}
