// What the tests against a running product share. Its address is in PRODUCT_URL.

import { Api, ApiError, Client, SendFailed } from "../../../clients/js/src/index.js";

export const URL_ = process.env.PRODUCT_URL ?? "";
export const PASSWORD = "correct horse";

/** Somebody new: their number. */
export async function person(name = "Asha") {
  const mobileNo = `9198${String(Math.floor(Math.random() * 1e8)).padStart(8, "0")}`;
  await new Api(URL_).signUp({ name, mobileNo, password: PASSWORD });
  return mobileNo;
}

/** Their client, online; it ends with the test. */
export async function online(t, mobileNo, more = {}) {
  const client = new Client(URL_, { mobileNo, password: PASSWORD, ...more });
  t.after(() => client.stop({ seconds: 1 }));
  await client.start();
  await client.online();
  return client;
}

/** Values of an event as they come, and a promise of the first one that is wanted. */
export function watch(client, name) {
  const values = [];
  const wishes = new Set();
  client.on(name, (value) => {
    values.push(value);
    for (const wish of wishes) if (wish.wants(value)) wish.resolve(value);
  });
  const first = (wants = () => true) =>
    new Promise((resolve) => {
      const known = values.find(wants);
      if (known) resolve(known);
      else wishes.add({ wants, resolve });
    });
  return { values, first };
}

export const state = (name) => (one) => one.name === name;
export const failed = (code) => (error) => error instanceof SendFailed && error.code === code;
export const refused = (code) => (error) => error instanceof ApiError && error.code === code;
