// The key: from the address's fragment, which no server sees, or from the panel; kept for this tab alone.

import { QUOTE, formOf, send } from "./api.js";
import { announce, byId } from "./dom.js";

const REFUSED = { AUTHENTICATION_REQUIRED: "key", INVALID_API_KEY: "key", API_KEY_EXPIRED: "key", API_KEY_PAUSED: "key", API_KEY_DEACTIVATED: "key", ORGANIZATION_ACCESS_DENIED: "organization" };
const FIELDS = ["organization", "key"];

const stored = (name) => sessionStorage.getItem(`uncrop-${name}`) ?? "";
const listeners = [];

export const credentials = () => ({ organization: stored("organization"), key: stored("key") });
export const haveKey = () => FIELDS.every(stored);

// Calls back whenever there is another key.
export const onKey = (listener) => listeners.push(listener);

function takeFromAddress() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  for (const name of FIELDS) if (fragment.has(name)) sessionStorage.setItem(`uncrop-${name}`, fragment.get(name).trim());
  // It shall not stand in the history, nor on somebody's screen.
  if (FIELDS.some((name) => fragment.has(name))) history.replaceState(null, "", location.pathname + location.search);
}

function show(open) {
  byId("key-panel").hidden = !open;
  byId("key-button").setAttribute("aria-expanded", String(open));
  for (const name of FIELDS) byId(name).value = stored(name);
}

function mark(name, text) {
  for (const each of FIELDS) byId(each).setAttribute("aria-invalid", String(each === name));
  byId("key-error").textContent = text;
}

// Whether an error is about the key; if so, the panel opens with the wrong one of the two marked.
export function markIfRefused(error) {
  const name = REFUSED[error.code];
  if (!name) return false;
  show(true);
  mark(name, `${error.message}.`);
  byId(name).focus();
  return true;
}

async function check(event) {
  event.preventDefault();
  const missing = FIELDS.find((name) => !byId(name).value.trim());
  if (missing) {
    mark(missing, missing === "key" ? "The key is missing." : "The organization is missing.");
    byId(missing).focus();
    return;
  }
  for (const name of FIELDS) sessionStorage.setItem(`uncrop-${name}`, byId(name).value.trim());
  mark(null, "");
  const { organization, key } = credentials();
  // A quote of every maker for a small picture: the shortest question that looks at both, and costs nothing.
  const fields = [["provider", "all"], ["organization_id", organization], ["image_width", 64], ["image_height", 64], ["extend_left", 16]];
  try {
    await send(QUOTE, { method: "POST", body: formOf(fields), key });
  } catch (error) {
    if (!markIfRefused(error)) byId("key-error").textContent = error.message;
    return;
  }
  show(false);
  announce("The key is right.");
  (byId("empty").hidden ? byId("extend") : byId("choose")).focus();
  for (const listener of listeners) listener();
}

export function setUpCredentials() {
  takeFromAddress();
  show(!haveKey());
  byId("key-panel").addEventListener("submit", check);
  byId("key-button").addEventListener("click", () => {
    const open = byId("key-panel").hidden;
    show(open);
    if (open) byId("organization").focus();
  });
  if (!haveKey()) byId("organization").focus();
}
