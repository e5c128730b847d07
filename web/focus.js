// The keyboard's place when one view takes the place of another.

import { useLayoutEffect, useRef } from "./vendor/preact.js";

// A ref for the heading of a view that has just come (tabindex=-1), so that a screen reader says what has come.
export function useFocus() {
  const ref = useRef(null);
  useLayoutEffect(() => ref.current?.focus(), []);
  return ref;
}
