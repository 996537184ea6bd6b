// The quote under the button: what the picture would take, asked a moment after the last change. Nobody is called.

import { QUOTE, formOf, read, send } from "./api.js";
import { credentials, haveKey, markIfRefused, onKey } from "./credentials.js";
import { byId, plural } from "./dom.js";
import { editor } from "./editor.js";
import { problemOf } from "./geometry.js";
import { amountOf } from "./makers.js";
import { detailLines } from "./problems.js";
import { fieldsOf } from "./requests.js";

const PAUSE_MS = 350; // a quote counts as a request, so none is asked while a handle moves
const MOST_CALLS = 8;

const known = new Map(); // quotes of this page, by what was asked
let timer = 0;
let asking = null;
let callsNeeded = 0;

const isRefused = () => byId("quote").classList.contains("bad");

function show(text, { possible = true, calls = 0 } = {}) {
  byId("quote").textContent = text;
  byId("quote").classList.toggle("bad", !possible);
  byId("extend").disabled = !editor.photo || !editor.maker || !haveKey() || Boolean(problemOf(editor.photo, editor.sides)) || !possible;
  callsNeeded = calls > 1 && calls <= MOST_CALLS ? calls : 0;
  byId("allow-calls").hidden = !callsNeeded;
  byId("allow-calls").textContent = `Allow ${callsNeeded} calls`;
}

function priceIn({ bills, price, calls }) {
  if (!bills) return "Free";
  if (!price) return "Paid, price unknown";
  return price.total === null ? `${amountOf(price.amount, price.unit)} a ${price.per}` : amountOf(price.total, price.unit);
}

function inWords(quote) {
  if (!quote.possible) return [`${quote.refusal.message}.`, ...detailLines(quote.refusal.details)].join(" ");
  const seconds = quote.expected_seconds;
  const time = seconds === null ? "" : `about ${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const calls = quote.calls > 1 ? plural(quote.calls, "call") : "";
  return [priceIn(quote), calls, quote.output_size.replace("x", " × "), time].filter(Boolean).join(" · ");
}

const showQuote = (quote) => show(inWords(quote), { possible: quote.possible, calls: quote.refusal?.details?.calls_needed });

async function ask() {
  const { photo } = editor;
  const fields = [...fieldsOf(editor), ["image_width", photo.width], ["image_height", photo.height]];
  const asked = JSON.stringify(fields);
  if (known.has(asked)) return showQuote(known.get(asked));
  asking?.abort();
  asking = new AbortController();
  try {
    const response = await send(QUOTE, { method: "POST", body: formOf(fields), key: credentials().key, signal: asking.signal });
    const quote = await read(response);
    // How long it takes changes from picture to picture; the rest stays.
    if (quote.possible && quote.expected_seconds !== null) known.set(asked, quote);
    showQuote(quote);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (markIfRefused(error)) show("The server does not take the key.", { possible: false });
    // Too many questions are no reason not to extend; what the form lacks is.
    else if (error.status === 422) show([`${error.message}.`, ...detailLines(error.details)].join(" "), { possible: false });
    else show(error.status === 429 ? "The price is told again in a moment." : error.message);
  }
}

// What stands there until the answer comes: never the quote of something else.
function waitAndAsk() {
  clearTimeout(timer);
  asking?.abort();
  if (!editor.photo) return show("Choose a photo to begin.");
  if (!haveKey()) return show("Enter your key to begin.");
  if (!editor.maker) return show("");
  const problem = problemOf(editor.photo, editor.sides);
  if (problem) return show(problem, { possible: false });
  show(isRefused() || !byId("quote").textContent ? "…" : byId("quote").textContent.replace(/^.*$/, "…"));
  timer = setTimeout(ask, PAUSE_MS);
}

export function setUpQuotes() {
  editor.addEventListener("change", waitAndAsk);
  onKey(waitAndAsk);
  byId("allow-calls").addEventListener("click", () => {
    editor.change({ maxCalls: callsNeeded });
    byId("extend").focus();
  });
  waitAndAsk();
}
