// Starts the page: with the log-in forms, or with the chats when this tab is logged in.

import * as api from "./api.js";
import { session } from "./memory.js";
import { Talk } from "./talk.js";
import { $ } from "./view.js";

const WORDS = { name: "The name", mobileNo: "The mobile number", password: "The password" };
const FIELDS = { bad_mobile: "mobileNo", already_exists: "mobileNo" }; // codes about one field, whose error may not name it
const fields = (form) => Object.fromEntries(new FormData(form));
const visibleForm = () => ["login", "signup"].map($).find((form) => !form.hidden);

function clearNotes() {
  for (const note of document.querySelectorAll("#door [role=alert]")) note.textContent = "";
  for (const input of document.querySelectorAll("#door input")) input.removeAttribute("aria-invalid");
}

// Shows each error beside its field, in the words of the form.
function say(error) {
  const form = visibleForm();
  const one = FIELDS[error.code];
  const named = error.errors.length || !one ? error.errors : [{ field: one, message: error.message }];
  const known = named.filter(({ field }) => field in WORDS && form.elements.namedItem(field));
  for (const { field, message } of known) {
    const input = form.elements.namedItem(field);
    input.setAttribute("aria-invalid", "true");
    $(`${input.id}-note`).textContent = message.startsWith(`${field} `) ? WORDS[field] + message.slice(field.length) : message;
  }
  if (known.length) form.elements.namedItem(known[0].field).focus();
  else $("door-note").textContent = error.message;
}

function show(which) {
  $("login").hidden = which !== "login";
  $("signup").hidden = which !== "signup";
  clearNotes();
  $(which).querySelector("input").focus();
}

function atTheDoor(why = "") {
  session.clear();
  $("house").hidden = true;
  $("door").hidden = false;
  document.title = "WhatsApp Mini";
  show("login");
  $("door-note").textContent = why;
}

function enter() {
  const mine = session.load();
  if (!mine) return atTheDoor();
  $("door").hidden = true;
  $("house").hidden = false;
  return new Talk(mine, atTheDoor).begin();
}

async function logIn({ mobileNo, password }) {
  const { token, name, mobileNo: mobile } = await api.logIn({ mobileNo, password });
  session.save({ token, name, mobile });
  for (const id of ["login", "signup"]) $(id).reset();
  enter();
}

async function signUp(form) {
  await api.signUp(form);
  show("login"); // the account exists now, even if the log-in fails
  $("login-mobile").value = form.mobileNo;
  await logIn(form);
}

function onSubmit(id, doIt) {
  $(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = $(id).querySelector("button.main");
    button.disabled = true;
    clearNotes();
    try {
      await doIt(fields($(id)));
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      say(error);
    } finally {
      button.disabled = false;
    }
  });
}

onSubmit("login", logIn);
onSubmit("signup", signUp);
$("to-signup").onclick = () => show("signup");
$("to-login").onclick = () => show("login");
enter();
