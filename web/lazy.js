// Parts of views that are loaded when they are needed first.

import { html, useEffect, useState } from "./vendor/preact.js";

// load() gives a promise of a component.
export function lazy(load) {
  let loading;
  return function Lazy(props) {
    const [component, set] = useState(null);
    useEffect(() => void (loading ??= load()).then((made) => set(() => made)), []);
    return component && html`<${component} ...${props} />`;
  };
}
