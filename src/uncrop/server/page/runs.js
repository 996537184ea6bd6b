// One run: the form is sent, the server is asked how far it is, and the pictures come back, or the person cancels.

import { UNCROP, cancelling, formOf, newId, read, running, send } from "./api.js";
import { inBackground } from "./background.js";
import { credentials, markIfRefused } from "./credentials.js";
import { announce, byId, focus, plural } from "./dom.js";
import { editor } from "./editor.js";
import { ApiError, clearError, showError } from "./problems.js";
import { fieldsOf } from "./requests.js";
import { addResults } from "./results.js";

const FIRST_QUESTION_MS = 300;
const BETWEEN_QUESTIONS_MS = 700;
// A line that broke off is tried again after these pauses; a picture that is still being made is waited for so long.
const PAUSES_MS = [500, 1500];
const FINISHING_MS = 200_000;

// The stages of a request, and the steps of makers that are known by words of their own.
const STAGES = {
  upload: "Sending the photo", intake: "Checking the photo", admission: "Waiting for a turn", provider: "Working",
  finish: "Blending into the photo", encode: "Saving the picture",
};
const STEPS = {
  prepare: "Looking at the photo", candidates: "Trying layouts", details: "Adding details", "fine details": "Adding fine details",
  seams: "Hiding the seams", write: "Putting it together", done: "Blending into the photo",
};

let current = null; // the run that is on

function wordsFor({ stage, step }) {
  if (stage !== "provider" || !step) return STAGES[stage] ?? stage;
  return STEPS[step] ?? step.replace(/^./, (first) => first.toUpperCase());
}

// --- what is shown ----------------------------------------------------------------------------------------------------

function showRunning(isRunning) {
  byId("idle").hidden = isRunning;
  byId("running").hidden = !isRunning;
  // What is being made stays what is shown.
  byId("editor").inert = isRunning;
  for (const set of document.querySelectorAll("#form fieldset")) set.disabled = isRunning;
  if (isRunning) {
    byId("step").textContent = STAGES.upload;
    byId("progress").removeAttribute("value");
    byId("paid").hidden = true;
  }
}

function showState(state) {
  byId("step").textContent = wordsFor(state);
  byId("paid").hidden = !state.calls_billed;
  if (state.stage === "finish" || state.stage === "encode") byId("progress").value = 1;
  else if (state.progress !== null) byId("progress").value = state.progress;
}

// --- how far it is ----------------------------------------------------------------------------------------------------

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Asks until the run is over. A question that fails is asked again; the time is told in any case.
async function watch(run) {
  await pause(FIRST_QUESTION_MS);
  while (current === run && !run.cancelled) {
    try {
      const state = await read(await send(running(run.id), { key: run.key, signal: run.abort.signal }));
      if (current === run && state.running) showState(state);
    } catch {
      // The request may not have begun, another server may be at work on it, or the line is down for a moment.
    }
    await pause(BETWEEN_QUESTIONS_MS);
  }
}

function tick(run) {
  const seconds = () => Math.floor((performance.now() - run.started) / 1000);
  byId("elapsed").textContent = "0 s";
  return setInterval(() => { byId("elapsed").textContent = `${seconds()} s`; }, 250);
}

// --- beginning and ending ---------------------------------------------------------------------------------------------

// How long to wait before a run is sent again; null: it is not. By its key the server carries it out once.
function pauseAfter(error, run) {
  if (run.cancelled) return null;
  if (error.code === "IDEMPOTENCY_IN_PROGRESS") {
    const wait = 1000 * (error.retryAfter ?? 1);
    run.finishing += wait;
    return run.finishing <= FINISHING_MS ? wait : null;
  }
  const brokeOff = error instanceof ApiError && !error.code && [0, 502, 503, 504].includes(error.status);
  return brokeOff ? (PAUSES_MS[run.repeats++] ?? null) : null;
}

async function fetched(run, options) {
  for (;;) {
    try {
      return await read(await send(UNCROP, options), "arrayBuffer");
    } catch (error) {
      const wait = pauseAfter(error, run);
      if (wait === null) throw error;
      await pause(wait);
    }
  }
}

async function make(run, state, fields) {
  const body = formOf([...fields, ["image_file", new File([state.photo.file], state.photo.name, { type: state.photo.file.type })]]);
  const headers = { "X-Request-Id": run.id, "Idempotency-Key": run.id };
  const options = { method: "POST", body, key: run.key, signal: run.abort.signal, headers };
  const bytes = await fetched(run, options);
  return inBackground("unpack", { bytes }, [bytes]);
}

// Begins a run of what is being edited, with some of it changed for this run alone.
export async function start(changes = {}) {
  if (current || byId("extend").disabled) return;
  clearError();
  const state = { ...editor.snapshot(), ...changes };
  const fields = fieldsOf(state);
  const run = { id: newId(), key: credentials().key, abort: new AbortController(), started: performance.now() };
  Object.assign(run, { cancelled: false, repeats: 0, finishing: 0 });
  current = run;
  showRunning(true);
  byId("cancel").focus({ preventScroll: true });
  announce("Extending has begun.");
  const ticking = tick(run);
  watch(run);
  try {
    const { pictures, failures } = await make(run, state, fields);
    end(ticking);
    await addResults(pictures, { state, fields, seconds: (performance.now() - run.started) / 1000 });
    if (failures.length) showError(`${plural(failures.length, "picture")} could not be made: ${failures.map((each) => each.message).join("; ")}`);
  } catch (error) {
    end(ticking);
    fail(run, error);
  }
}

function end(ticking) {
  clearInterval(ticking);
  current = null;
  showRunning(false);
}

function fail(run, error) {
  if (run.cancelled) {
    announce("Cancelled.");
  } else if (!markIfRefused(error)) {
    showError(error);
  }
  if (run.cancelled || byId("key-panel").hidden) focus(byId("extend"));
}

// Ends the run on the server, by its id, and here. Either would do; a proxy may swallow the one or the other.
function cancel() {
  const run = current;
  if (!run) return;
  run.cancelled = true;
  run.abort.abort();
  send(cancelling(run.id), { method: "POST", key: run.key, keepalive: true }).catch(() => {});
  byId("step").textContent = "Cancelling";
}

export function setUpRuns() {
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });
  byId("cancel").addEventListener("click", cancel);
}
