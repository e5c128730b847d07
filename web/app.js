// Begins the page: at the door, or in the house when this tab is logged in already.

import * as api from "./api.js";
import { session } from "./memory.js";
import { Talk } from "./talk.js";
import { $ } from "./view.js";

const fields = (form) => Object.fromEntries(new FormData(form));

function show(which) {
  $("login").hidden = which !== "login";
  $("signup").hidden = which !== "signup";
  $("door-note").textContent = "";
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
  await logIn(form);
}

function onSubmit(id, doIt) {
  $(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = $(id).querySelector("button.main");
    button.disabled = true;
    $("door-note").textContent = "";
    try {
      await doIt(fields($(id)));
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      $("door-note").textContent = error.message;
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
