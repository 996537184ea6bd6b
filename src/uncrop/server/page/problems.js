// What went wrong, in words: one place of the page, emptied by whatever a person does next.

import { byId, element } from "./dom.js";

// An error of the API, or of whatever stands before it.
export class ApiError extends Error {
  constructor(message, { code = "", status = 0, details = {}, trace = "", retryAfter = null } = {}) {
    super(message);
    Object.assign(this, { code, status, details, trace, retryAfter });
  }
}

export const UNREACHABLE = "The server could not be reached. Your photo and settings are still here: try again when it is back.";

const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
const plain = (name) => name.replaceAll("_", " ");

// The facts of an error as lines: each field with what is wrong with it, then everything else by its name.
export function detailLines(details) {
  const { fields, tried, ...others } = details ?? {};
  const named = Array.isArray(fields) ? [] : Object.entries(fields ?? {}).map(([name, problem]) => `${plain(name)} ${problem}`);
  const attempts = (tried ?? []).map(({ provider, message }) => `${provider}: ${message}`);
  const facts = Object.entries(others).map(([name, value]) => `${plain(name)}: ${typeof value === "object" ? JSON.stringify(value) : value}`);
  return [...named, ...attempts, ...facts];
}

export function clearError() {
  byId("error").replaceChildren();
}

// Shows an error, or a sentence of the page's own.
export function showError(error) {
  const isText = typeof error === "string";
  const shown = [element("p", {}, sentence(isText ? error : error.message))];
  if (!isText && error.retryAfter) shown.push(element("p", {}, `Try again in ${error.retryAfter} s.`));
  if (!isText && error.code) {
    const lines = detailLines(error.details);
    if (lines.length) shown.push(element("ul", {}, ...lines.map((line) => element("li", {}, line))));
    shown.push(element("p", { className: "trace" }, [error.code, error.trace].filter(Boolean).join(" · ")));
  }
  byId("error").replaceChildren(...shown);
  byId("error").scrollIntoView?.({ block: "nearest" });
}
