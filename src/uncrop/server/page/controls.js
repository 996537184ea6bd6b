// The controls of the shape: ratios, the grid of anchors, and the four fields of pixels. All live both ways.

import { byId, element } from "./dom.js";
import { SHAPES, editor } from "./editor.js";
import { ANCHORS, LARGEST, SIDES, anchored, canvasOf, problemOf } from "./geometry.js";

const NAMES = { center: "Center", left: "Left", right: "Right", top: "Top", bottom: "Bottom" };
const nameOf = (anchor) => NAMES[anchor] ?? anchor.replace("-", " ").replace(/^./, (first) => first.toUpperCase());
const field = (side) => byId("form").elements[side];

function radio(group, value, label, ...children) {
  const input = element("input", { type: "radio", name: group, value, "aria-label": label });
  return element("label", { className: group }, input, ...children);
}

// --- shapes -----------------------------------------------------------------------------------------------------------

// A rectangle of the shape, drawn by the style sheet from two numbers.
function icon(shape) {
  const drawn = element("span", { className: "icon", "aria-hidden": "true" });
  const [across, down] = shape.includes(":") ? shape.split(":").map(Number) : [4, 3];
  drawn.style.setProperty("--ratio", `${across} / ${down}`);
  drawn.classList.add(across >= down ? "landscape" : "portrait", ...(shape.includes(":") ? [] : [shape]));
  return drawn;
}

function makeShapes() {
  byId("shapes").append(...SHAPES.map(([shape, label]) => radio("shape", shape, label, icon(shape), element("span", {}, label))));
  byId("shapes").addEventListener("change", (event) => editor.setShape(event.target.value));
  for (const id of ["ratio-across", "ratio-down"]) byId(id).addEventListener("input", readOwnRatio);
}

function readOwnRatio() {
  const own = [byId("ratio-across").valueAsNumber, byId("ratio-down").valueAsNumber];
  const possible = own.every((each) => each > 0) && own[0] / own[1] <= 20 && own[1] / own[0] <= 20;
  for (const id of ["ratio-across", "ratio-down"]) byId(id).setAttribute("aria-invalid", String(!possible));
  if (possible) editor.setShape("own", own);
}

// --- anchors ----------------------------------------------------------------------------------------------------------

function makeAnchors() {
  const radios = Object.keys(ANCHORS).map((anchor) => radio("anchor", anchor, nameOf(anchor), element("span", { className: "dot" })));
  byId("anchors").append(...radios);
  byId("anchors").addEventListener("change", (event) => {
    const anchor = event.target.value;
    if (!editor.photo) return editor.change({ anchor });
    editor.setSides(anchored(editor.photo, canvasOf(editor.photo, editor.sides), anchor), { anchor });
  });
}

// --- pixels -----------------------------------------------------------------------------------------------------------

// A field that is being written in is left as it is; the others show what holds.
function showSides() {
  for (const side of SIDES) {
    if (document.activeElement !== field(side) || Number(field(side).value) !== editor.sides[side]) field(side).value = editor.sides[side];
  }
}

function readSide(side) {
  const value = field(side).valueAsNumber;
  const whole = Number.isInteger(value) && Math.abs(value) <= LARGEST;
  field(side).setAttribute("aria-invalid", String(!whole));
  byId("sides-error").textContent = whole ? "" : `A whole number from \u2212${LARGEST} to ${LARGEST}, please.`;
  if (whole) editor.setSides({ ...editor.sides, [side]: value }, { shape: "free", anchor: null });
}

function makeFields() {
  for (const side of SIDES) {
    Object.assign(field(side), { min: -LARGEST, max: LARGEST, step: 1 });
    field(side).setAttribute("aria-describedby", "sides-error");
    field(side).addEventListener("input", () => readSide(side));
    // What is no number is not left standing beside a picture that shows another.
    field(side).addEventListener("change", () => {
      field(side).value = editor.sides[side];
      field(side).removeAttribute("aria-invalid");
      showProblem();
    });
  }
}

// --- all of it --------------------------------------------------------------------------------------------------------

function showProblem() {
  const problem = editor.photo ? problemOf(editor.photo, editor.sides) : "";
  const untouched = SIDES.every((side) => editor.sides[side] === 0);
  byId("sides-error").textContent = untouched ? "" : problem;
}

function show() {
  const { photo, sides, shape, own, anchor } = editor;
  for (const each of document.querySelectorAll("input[name=shape]")) each.checked = each.value === shape;
  for (const each of document.querySelectorAll("input[name=anchor]")) each.checked = each.value === anchor;
  byId("own-ratio").hidden = shape !== "own";
  for (const [index, id] of ["ratio-across", "ratio-down"].entries()) {
    if (document.activeElement !== byId(id)) byId(id).value = own[index];
  }
  showSides();
  showProblem();
  if (!photo) return;
  const canvas = canvasOf(photo, sides);
  const impossible = canvas.width < 1 || canvas.height < 1;
  byId("size").textContent = impossible ? "" : `${photo.width} × ${photo.height} → ${canvas.width} × ${canvas.height} pixels`;
}

export function setUpControls() {
  makeShapes();
  makeAnchors();
  makeFields();
  editor.addEventListener("change", show);
  show();
}
