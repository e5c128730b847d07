// What changes in one's own account is seen in all tabs that show it.

import { accountMoved, rememberAccount } from "./accounts.js";
import { on, share } from "./opened.js";
import { account } from "./state.js";

export const renamed = (name) => share("account", { ...account.value, name, from: account.value.mobileNo });

// session: what the server answered, with the new number; the client keeps it.
export const numberChanged = ({ mobileNo, name }) => share("account", { mobileNo, name, from: account.value.mobileNo });

on("account", ({ from, mobileNo, name }) => {
  if (from === mobileNo) rememberAccount({ mobileNo, name });
  else accountMoved(from, { mobileNo, name });
  account.value = { ...account.value, mobileNo, name };
});
