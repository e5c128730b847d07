// What the steps of the door do at the server.

import { BASE, deviceIdFor } from "./accounts.js";
import { Api } from "./client/api.js"; // and no more: the door is what somebody new waits for
import { deviceName } from "./device-name.js";
import { enter } from "./state.js";

export const api = new Api(BASE);

// Logs in as this browser's device, and shows the chats.
export async function logIn({ mobileNo, password, replaceDeviceId }) {
  const named = { deviceId: deviceIdFor(mobileNo), deviceName: deviceName() };
  await enter(await api.logIn({ mobileNo, password, ...named, ...(replaceDeviceId && { replaceDeviceId }) }));
}

// The same in a form: where there is no place for another device, the person chooses one to replace.
export async function logInOrChoose(given, go) {
  try {
    await logIn(given);
  } catch (error) {
    if (error.code !== "too_many_devices" || !error.devices) throw error;
    go("tooMany", { ...given, devices: error.devices });
  }
}
