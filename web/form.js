// Forms: refusals stand beside the field that they concern, and a button cannot be pressed twice.
//
//   const form = useForm(async ({ mobileNo }) => …);
//   html`<form ...${form.props}><${Field} form=${form} name="mobileNo" label="Mobile number" required /><${Submit} form=${form} words="Go on" /></form>`

import { Hide, Show } from "./symbols-more.js";
import { html, useEffect, useId, useLayoutEffect, useRef, useState } from "./vendor/preact.js";

const IDLE = { busy: false, note: "", errors: {}, until: 0 };
const EMPTY = {
  name: "Enter a name.",
  mobileNo: "Enter a mobile number, with its country code.",
  password: "Enter the password.",
  currentPassword: "Enter the current password.",
  newPassword: "Enter a new password.",
  code: "Enter the six digits of the code.",
};
const SUBJECTS = {
  name: "The name",
  about: "This line",
  mobileNo: "The mobile number",
  password: "The password",
  currentPassword: "The current password",
  newPassword: "The new password",
  code: "The code",
};
// Codes about one field whose refusal may not name it; the first of these fields that the form has.
const CONCERNS = {
  bad_mobile: ["mobileNo"],
  already_exists: ["mobileNo"],
  number_resting: ["mobileNo"],
  code_wrong: ["code"],
  code_missing: ["code"],
  password_wrong: ["currentPassword", "password"],
};

// doIt(values) is called with what the fields hold; what it throws is shown, if it is a refusal of the server.
// gone: it has taken the form away (the next step is shown), or keeps it.
export function useForm(doIt) {
  const [state, setState] = useState(IDLE);
  const ref = useRef(null);
  const left = useSecondsUntil(state.until);
  useLayoutEffect(() => ref.current?.querySelector("[aria-invalid=true]")?.focus(), [state.errors]);

  async function onSubmit(event) {
    event.preventDefault();
    if (state.busy || left) return;
    const errors = missing(ref.current);
    if (Object.keys(errors).length) return void setState({ ...IDLE, errors });
    setState({ ...IDLE, busy: true });
    try {
      await doIt(Object.fromEntries(new FormData(ref.current)));
      setState(IDLE);
    } catch (error) {
      if (error.status === undefined) setState(IDLE);
      if (error.status === undefined) throw error; // a bug, not a refusal
      setState({ ...IDLE, ...told(error, ref.current) });
    }
  }

  // method=post: without scripts a form would put the password into the address.
  return { ...state, left, props: { ref, onSubmit, method: "post", noValidate: true } };
}

// One field with its label, a hint, and what is wrong with it. Further properties go to the input.
export function Field({ form, name, label, hint = "", as = "input", ...input }) {
  const id = useId();
  const wrong = form.errors[name] ?? "";
  const Tag = as;
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <${Tag} id=${id} name=${name} aria-describedby=${`${id}-hint ${id}-wrong`} aria-invalid=${wrong ? "true" : undefined} ...${input} />
      <p class="note" id=${`${id}-hint`}>${hint}</p>
      <p class="note" role="alert" id=${`${id}-wrong`}>${wrong}</p>
    </div>
  `;
}

// A field for a password, which can be looked at. use: "current-password" or "new-password", for password managers.
export function PasswordField({ form, name = "password", label = "Password", use, hint = "" }) {
  const id = useId();
  const [shown, show] = useState(false);
  const wrong = form.errors[name] ?? "";
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <div class="peek">
        <input id=${id} name=${name} type=${shown ? "text" : "password"} autocomplete=${use} autocapitalize="off" spellcheck=${false}
          aria-describedby=${`${id}-hint ${id}-wrong`} aria-invalid=${wrong ? "true" : undefined} required />
        <button type="button" class="icon" aria-pressed=${shown} aria-label=${`Show: ${label}`} title=${shown ? "Hide" : "Show"}
          onClick=${() => show(!shown)}><${shown ? Hide : Show} /></button>
      </div>
      <p class="note" id=${`${id}-hint`}>${hint}</p>
      <p class="note" role="alert" id=${`${id}-wrong`}>${wrong}</p>
    </div>
  `;
}

// The number, as the name that a password manager keeps the password under. Nobody sees it.
export const Username = ({ mobileNo }) =>
  html`<input type="text" name="username" autocomplete="username" value=${mobileNo} readonly hidden />`;

// What concerns the whole form, and its button.
export function Submit({ form, words, look = "main", disabled = false }) {
  const wait = form.left ? ` Try again in ${inWords(form.left)}.` : "";
  return html`
    <p class="note" role="alert">${form.note && form.note + wait}</p>
    <button class=${look} disabled=${form.busy || form.left > 0 || disabled}>${form.busy ? "One moment …" : words}</button>
  `;
}

// Whole seconds until this moment (ms of this machine's clock), counted down; 0 when it is over.
export function useSecondsUntil(until) {
  const left = () => Math.max(0, Math.ceil((until - Date.now()) / 1000));
  const [, setNow] = useState(0);
  useEffect(() => {
    if (!left()) return undefined;
    const timer = setInterval(() => {
      setNow(Date.now());
      if (!left()) clearInterval(timer);
    }, 250);
    return () => clearInterval(timer);
  }, [until]);
  return left();
}

// "40 seconds", "3 minutes".
export function inWords(seconds) {
  const [count, unit] = seconds < 90 ? [seconds, "second"] : [Math.ceil(seconds / 60), "minute"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

// A refusal as a person reads it.
export function sentence(error) {
  if (error.code === "unreachable") return "The server cannot be reached. Look at the connection, then try again.";
  return error.message;
}

function missing(form) {
  const errors = {};
  for (const { name, required, value } of form.elements) if (required && !value.trim()) errors[name] = EMPTY[name] ?? "This is missing.";
  return errors;
}

function told(error, form) {
  const has = (name) => form?.elements.namedItem(name);
  const until = error.retryAfter >= 1 ? Date.now() + error.retryAfter * 1000 : 0;
  const named = (error.errors ?? []).filter(({ field }) => has(field));
  if (named.length) return { errors: Object.fromEntries(named.map(({ field, message }) => [field, reworded(field, message)])), until };
  const concerned = (CONCERNS[error.code] ?? []).find(has);
  return concerned ? { errors: { [concerned]: sentence(error) }, until } : { note: sentence(error), until };
}

// The server's sentences begin with the name of the field, as developers know it.
function reworded(field, message) {
  const said = message.startsWith(`${field} `) && SUBJECTS[field] ? SUBJECTS[field] + message.slice(field.length) : message;
  return /[.!?]$/.test(said) ? said : `${said}.`;
}
