// What changes in one's own account is seen in all tabs that show it.

import { accountMoved, rememberAccount } from "./accounts.js";
import { on, share, store } from "./opened.js";
import { account } from "./state.js";

export async function renamed(name) {
  share("account", { ...account.value, name, from: account.value.mobileNo });
  // The stored session says who is logged in when the page is opened without a network.
  const { value: kept } = store;
  await kept.locked(async () => {
    const { session } = await kept.load();
    if (session) await kept.saveSession({ ...session, name });
  });
}

// session: what the server answered, with the new number; the client keeps it.
export const numberChanged = ({ mobileNo, name }) => share("account", { mobileNo, name, from: account.value.mobileNo });

on("account", ({ from, mobileNo, name }) => {
  if (from === mobileNo) rememberAccount({ mobileNo, name });
  else accountMoved(from, { mobileNo, name });
  account.value = { ...account.value, mobileNo, name };
});
