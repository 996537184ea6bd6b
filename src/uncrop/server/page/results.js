// The pictures of this session: the strip, and the one that is shown. A picture keeps all it was made from, so that its
// numbers, its name and its photo are always its own.

import { inBackground } from "./background.js";
import { showComparison } from "./compare.js";
import { announce, byId, element, focus } from "./dom.js";
import { editor } from "./editor.js";
import { showFormats } from "./exports.js";
import { makerNamed, takes } from "./makers.js";
import { clearError } from "./problems.js";
import { trustInWords } from "./trust.js";

const results = [];
let shown = null;

export const shownResult = () => shown;

const ORIGINAL = { exact: "the photo's own pixels, bit by bit", recompressed: "the photo's own pixels, compressed once", resampled: "the photo, resampled" };

// --- coming in --------------------------------------------------------------------------------------------------------

// Adds the pictures of one run, and shows the first, unless another photo was chosen meanwhile.
export async function addResults(pictures, { state, fields, seconds }) {
  const added = pictures.map(({ facts, file, map }) => ({ facts, file, map, state, fields, seconds, url: URL.createObjectURL(file) }));
  results.push(...added);
  for (const result of added) byId("strip").append(thumbnail(result));
  byId("history").hidden = false;
  if (editor.photo !== state.photo) {
    announce("The picture of the photo before is done. It is in the list of those made in this session.");
    return;
  }
  await open(added[0]);
  const count = added.length > 1 ? `${added.length} pictures are done.` : "The picture is done.";
  announce(`${count} ${byId("trust").textContent}`);
}

function thumbnail(result) {
  const { facts, url, state } = result;
  const number = results.indexOf(result) + 1;
  const seed = facts.seed === null || facts.seed === undefined ? "" : `seed ${facts.seed}`;
  const about = [`Picture ${number}`, makerNamed(state.maker.name)?.title, seed].filter(Boolean).join(", ");
  const image = element("img", { src: url, alt: "", loading: "lazy" });
  const button = element("button", { type: "button", "aria-label": about, onclick: () => open(result) }, image, element("span", {}, seed || `Picture ${number}`));
  result.item = element("li", {}, button);
  return result.item;
}

// --- showing one ------------------------------------------------------------------------------------------------------

// Shows a picture, and brings back the settings that made it: no picture stands beside other numbers than its own.
export async function open(result) {
  clearError();
  shown = result;
  const { state, facts, url } = result;
  editor.change({ ...state, sides: { ...state.sides }, values: { ...state.values } }, { edit: false });
  showView(true);
  showComparison({ url, state, width: facts.width, height: facts.height });
  byId("trust").textContent = trustInWords(state.sides, facts.advice);
  byId("warnings").replaceChildren(...(facts.warnings ?? []).map((warning) => element("li", {}, `${warning}.`)));
  byId("facts").textContent = factsInWords(result);
  byId("use-seed").hidden = facts.seed === null || facts.seed === undefined;
  byId("variations-button").hidden = !takes(state.maker, "seed");
  byId("confidence").hidden = !result.map;
  showOverlay(false);
  showFormats(result);
  for (const each of results) each.item.toggleAttribute("data-shown", each === result);
  focus(byId("result-title"));
}

function factsInWords({ facts, state, seconds }) {
  const said = [
    state.maker.title, `${facts.width} × ${facts.height}`, `${seconds.toFixed(1)} s`,
    facts.seed === null || facts.seed === undefined ? "" : `seed ${facts.seed}`, ORIGINAL[facts.original],
    facts.confidence === null || facts.confidence === undefined ? "" : `confidence ${Math.round(facts.confidence * 100)} %`,
    facts.repaint_difference ? `repainted by ${facts.repaint_difference.toFixed(1)} levels before the photo was put back` : "",
    facts.provider_calls > 1 ? `${facts.provider_calls} calls` : "",
  ];
  return said.filter(Boolean).join(" · ");
}

function showView(isResult) {
  byId("result").hidden = !isResult;
  byId("editor").hidden = isResult || !editor.photo;
  byId("size").hidden = isResult || !editor.photo;
  byId("empty").hidden = isResult || Boolean(editor.photo);
  byId("another").hidden = !editor.photo;
}

// Back to the editor, with whatever holds now.
export function showEditor() {
  shown = null;
  for (const each of results) each.item.removeAttribute("data-shown");
  showView(false);
  // The editor had no size while it was hidden.
  editor.change({}, { edit: false });
}

// --- confidence -------------------------------------------------------------------------------------------------------

async function showOverlay(isOn) {
  byId("confidence").setAttribute("aria-pressed", String(isOn));
  byId("overlay").hidden = !isOn;
  if (!isOn || !shown?.map) return;
  const result = shown;
  result.layer ??= await inBackground("tint", { file: result.map });
  if (shown !== result) return;
  const target = byId("overlay");
  [target.width, target.height] = [result.layer.width, result.layer.height];
  target.getContext("2d").drawImage(result.layer, 0, 0);
}

// --- going on from one ------------------------------------------------------------------------------------------------

export function setUpResults(start) {
  editor.addEventListener("change", ({ detail: { edit, changes } }) => {
    if (!edit) return;
    clearError();
    if (shown || changes.photo) showEditor();
  });
  byId("edit").addEventListener("click", () => {
    showEditor();
    focus(byId("extend"));
  });
  byId("confidence").addEventListener("click", () => showOverlay(byId("overlay").hidden));
  // Of the same settings, with seeds that are drawn anew.
  const drawn = () => ({ values: { ...editor.values, seed: "" } });
  byId("again").addEventListener("click", () => start({ ...drawn(), variations: 1 }));
  byId("variations-button").addEventListener("click", () => start({ ...drawn(), variations: 4 }));
  byId("use-seed").addEventListener("click", () => {
    const { seed } = shown.facts;
    editor.change({ values: { ...editor.values, seed: String(seed) }, variations: 1 });
    announce(`Seed ${seed} will be used.`);
    byId("field-seed")?.focus();
  });
}
