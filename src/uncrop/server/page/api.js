// Talks to the server: the key goes along, and whatever is no answer of the API becomes a clear sentence.

import { ApiError, UNREACHABLE } from "./problems.js";

export const UNCROP = "api/v1/images/uncrop";
export const QUOTE = "api/v1/images/uncrop/quote";
export const PROVIDERS = "api/v1/providers";
export const running = (id) => `api/v1/requests/${id}`;
export const cancelling = (id) => `${running(id)}/cancel`;

// An id that nobody else has. `crypto.randomUUID` is missing where the page does not come over https.
export function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// What a status means when something before the server answers in its place.
const BETWEEN = {
  413: "The photo is too large for a proxy between this page and the server",
  502: "A proxy could not reach the server",
  503: "A proxy says that the server is not available",
  504: "A proxy did not want to wait for the server any longer; the picture may still be made and charged",
};

async function failure(response) {
  const retryAfter = Number(response.headers.get("retry-after")) || null;
  try {
    const { error } = await response.json();
    return new ApiError(error.message, { ...error, status: response.status, trace: error.trace_id, retryAfter });
  } catch {
    const what = BETWEEN[response.status] ?? "Something between this page and the server answered with a page of its own";
    return new ApiError(`${what} (status ${response.status})`, { status: response.status, retryAfter });
  }
}

// Sends a request. What comes back is a response of status 200 with JSON in it.
export async function send(address, { key, ...options } = {}) {
  const headers = { Accept: "application/json", ...(key ? { "X-API-Key": key } : {}), ...options.headers };
  let response;
  try {
    response = await fetch(address, { ...options, headers });
  } catch (error) {
    throw error.name === "AbortError" ? error : new ApiError(UNREACHABLE);
  }
  if (!response.ok) throw await failure(response);
  if (!response.headers.get("content-type")?.startsWith("application/json")) {
    throw new ApiError("Something between this page and the server answered with a page of its own", { status: response.status });
  }
  return response;
}

// Reads an answer's body, which may break off.
export async function read(response, how = "json") {
  try {
    return await response[how]();
  } catch (error) {
    throw error.name === "AbortError" ? error : new ApiError(UNREACHABLE);
  }
}

export function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of fields) {
    if (value instanceof Blob) form.append(name, value, value.name);
    else form.append(name, String(value));
  }
  return form;
}
