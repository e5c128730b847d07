// Which view is open, in the address: #/ is the list, #/chat/919800000001 a chat, #/settings/privacy a page of settings.

import { computed, signal } from "./vendor/preact.js";

const address = signal(location.hash);

// {view, arg}: "chat" and "919800000001". The list is "".
export const route = computed(() => {
  const [view = "", ...rest] = address.value.replace(/^#\/?/, "").split("/").map(decoded);
  return { view, arg: rest.join("/") };
});

export const href = (view = "", arg = "") => `#/${[view, arg].filter(Boolean).join("/")}`;

// Opens a view. With replace it takes the place of the present one in the browser's history.
export function go(view = "", arg = "", { replace = false } = {}) {
  const inside = history.state?.inside ?? 0; // how many entries of the page are before this one
  const state = replace ? history.state : { inside: inside + 1 };
  history[replace ? "replaceState" : "pushState"](state, "", href(view, arg));
  address.value = location.hash;
}

// Another chat takes the place of the open one in the browser's history: Back leads to the list.
export function openChatOf(mobileNo) {
  go("chat", mobileNo, { replace: route.value.view === "chat" });
}

// As the browser's Back, but never out of the page: somebody who came by a link gets to the view given here.
export function back(view = "", arg = "") {
  if (history.state?.inside) history.back();
  else go(view, arg, { replace: true });
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // somebody wrote an address with a lone %
  }
}

for (const event of ["popstate", "hashchange"]) addEventListener(event, () => (address.value = location.hash));
