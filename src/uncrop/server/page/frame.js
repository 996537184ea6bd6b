// The frame around the photo: eight handles, the photo that can be moved inside it, and the view that shows both.
//
// From press to release the scale is frozen, so that a handle stays under the pointer; then all of it is fitted anew.

import { announce, byId, element } from "./dom.js";
import { editor } from "./editor.js";
import { LARGEST, anchorOf, canvasOf, fitted, moved, resized } from "./geometry.js";

const HANDLES = [
  { name: "Left", across: -1, down: 0 }, { name: "Right", across: 1, down: 0 },
  { name: "Up", across: 0, down: -1 }, { name: "Down", across: 0, down: 1 },
  { name: "Top left corner", across: -1, down: -1 }, { name: "Top right corner", across: 1, down: -1 },
  { name: "Bottom left corner", across: -1, down: 1 }, { name: "Bottom right corner", across: 1, down: 1 },
];
const STEP = 16;
const LARGE_STEP = 64;
const GRIP_ROOM = 90; // pixels of the screen
const ROOM = 0.78; // of the stage that the picture is fitted into; the rest is for pulling outward

let view = { scale: 1, x: 0, y: 0 };
let dragging = false;
let scheduled = 0;
const labels = {};

// --- the view ---------------------------------------------------------------------------------------------------------

function room() {
  const { clientWidth, clientHeight } = byId("editor");
  const width = clientWidth * ROOM;
  const height = clientHeight * ROOM;
  return { x: (clientWidth - width) / 2, y: (clientHeight - height) / 2, width, height };
}

// Draws at most once a frame of the screen.
function draw() {
  scheduled ||= requestAnimationFrame(() => {
    scheduled = 0;
    if (editor.photo && !byId("editor").hidden) place();
  });
}

function box(target, x, y, width, height) {
  target.style.transform = `translate(${x}px, ${y}px)`;
  target.style.width = `${width}px`;
  target.style.height = `${height}px`;
}

function place() {
  const { photo, sides } = editor;
  if (!dragging) view = fitted(photo, sides, room());
  const { scale, x, y } = view;
  const canvas = canvasOf(photo, sides);
  const frame = [x - sides.left * scale, y - sides.up * scale, Math.max(0, canvas.width * scale), Math.max(0, canvas.height * scale)];
  box(byId("photo"), x, y, photo.width * scale, photo.height * scale);
  box(byId("made"), ...frame);
  box(byId("frame"), ...frame);
  for (const side of Object.keys(labels)) {
    labels[side].textContent = sides[side] > 0 ? `+${sides[side]}` : sides[side] < 0 ? `\u2212${-sides[side]}` : "";
    labels[side].hidden = sides[side] * scale < 44;
    labels[side].style.setProperty("--depth", `${(sides[side] * scale) / 2}px`);
  }
  placeGrip(frame);
  describeHandles();
}

// The grip stands in the middle of what is left of the photo, where there is room between the handles.
function placeGrip([left, top, width, height]) {
  const { scale, x, y } = view;
  const shared = (low, length, from, extent) => [Math.max(low, from), Math.min(low + length, from + extent)];
  const [west, east] = shared(left, width, x, editor.photo.width * scale);
  const [north, south] = shared(top, height, y, editor.photo.height * scale);
  byId("grip").hidden = Math.min(east - west, south - north) < GRIP_ROOM;
  byId("grip").style.transform = `translate(${(west + east) / 2}px, ${(north + south) / 2}px)`;
}

// Puts the photo's pixels on the stage, once for each photo.
function drawPhoto() {
  const { pixels, name } = editor.photo;
  const target = byId("photo");
  target.width = pixels.width;
  target.height = pixels.height;
  target.getContext("2d").drawImage(pixels, 0, 0);
  target.setAttribute("aria-label", `The photo ${name}`);
}

// --- pointers ---------------------------------------------------------------------------------------------------------

// Follows one pointer from press to release; `update` gets how far it has moved, in pixels of the photo.
function follow(target, event, update) {
  if (event.button !== 0 || dragging) return;
  const start = { x: event.clientX, y: event.clientY, scale: view.scale };
  let last = null;
  dragging = true;
  target.setPointerCapture(event.pointerId);
  byId("editor").classList.add("dragging");
  const move = (now) => {
    last = now;
    update((now.clientX - start.x) / start.scale, (now.clientY - start.y) / start.scale);
  };
  const release = () => {
    target.removeEventListener("pointermove", move);
    dragging = false;
    byId("editor").classList.remove("dragging");
    if (last) settle();
  };
  target.addEventListener("pointermove", move);
  target.addEventListener("lostpointercapture", release, { once: true });
}

// Fits the view anew, with a short movement that says what happened.
function settle() {
  const stage = byId("editor");
  stage.classList.add("settling");
  setTimeout(() => stage.classList.remove("settling"), 220);
  draw();
  tell();
}

function tell() {
  const { width, height } = canvasOf(editor.photo, editor.sides);
  announce(`${width} by ${height} pixels`);
}

function pull(handle, event) {
  const { photo, sides, ratio } = editor;
  event.currentTarget.focus({ preventScroll: true });
  follow(event.currentTarget, event, (x, y) => change(resized(photo, sides, handle, x, y, ratio)));
}

function drag(event) {
  const { photo, sides } = editor;
  const corner = { x: view.x - sides.left * view.scale, y: view.y - sides.up * view.scale };
  follow(event.currentTarget, event, (x, y) => {
    const found = moved(photo, sides, x, y);
    // The frame stays where it is; the photo moves.
    view = { scale: view.scale, x: corner.x + found.left * view.scale, y: corner.y + found.up * view.scale };
    change(found);
  });
}

const change = (sides) => editor.setSides(sides, { anchor: anchorOf(editor.photo, sides) });

// --- keyboard ---------------------------------------------------------------------------------------------------------

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function press(handle, event) {
  const step = event.shiftKey ? LARGE_STEP : STEP;
  let [x, y] = ARROWS[event.key] ?? [0, 0];
  if (event.key === "PageUp" || event.key === "PageDown") {
    const outward = event.key === "PageUp" ? LARGE_STEP / step : -LARGE_STEP / step;
    [x, y] = [handle.across * outward, handle.down * outward];
  } else if (!(event.key in ARROWS)) {
    return;
  }
  // An edge takes the arrows of the other direction too: up is more.
  if (!handle.across && !y) y = handle.down * x;
  if (!handle.down && !x) x = handle.across * -y;
  event.preventDefault();
  change(resized(editor.photo, editor.sides, handle, x * step, y * step, editor.ratio));
  draw();
}

function pressPhoto(event) {
  if (!(event.key in ARROWS)) return;
  const step = event.shiftKey ? LARGE_STEP : STEP;
  const [x, y] = ARROWS[event.key];
  event.preventDefault();
  change(moved(editor.photo, editor.sides, x * step, y * step));
  tell();
}

// --- handles ----------------------------------------------------------------------------------------------------------

const sideOf = ({ across, down }) => (across ? (across < 0 ? "left" : "right") : down < 0 ? "up" : "down");

function describeHandles() {
  const { photo, sides } = editor;
  for (const handle of HANDLES) {
    const { across, down, target } = handle;
    const value = sides[sideOf(handle)];
    const said = [];
    if (across) said.push(`${across < 0 ? "left" : "right"} ${value} pixels`);
    if (down) said.push(`${down < 0 ? "up" : "down"} ${sides[down < 0 ? "up" : "down"]} pixels`);
    const values = { now: value, min: -(across ? photo.width : photo.height), max: LARGEST, text: said.join(", ") };
    for (const [name, each] of Object.entries(values)) target.setAttribute(`aria-value${name}`, each);
  }
}

function makeHandle(handle) {
  const { name, across, down } = handle;
  const orientation = across && !down ? "horizontal" : down && !across ? "vertical" : undefined;
  handle.target = element("div", {
    className: "handle", role: "slider", tabIndex: 0, "aria-label": name, "aria-orientation": orientation,
    "data-across": String(across), "data-down": String(down),
  });
  handle.target.addEventListener("pointerdown", (event) => pull(handle, event));
  handle.target.addEventListener("keydown", (event) => press(handle, event));
  return handle.target;
}

export function setUpFrame() {
  for (const side of ["left", "right", "up", "down"]) labels[side] = element("span", { className: `added ${side}`, "aria-hidden": "true" });
  byId("frame").append(...Object.values(labels), ...HANDLES.map(makeHandle));
  byId("grip").addEventListener("keydown", pressPhoto);
  for (const target of [byId("photo"), byId("grip")]) target.addEventListener("pointerdown", drag);
  editor.addEventListener("change", ({ detail }) => {
    if (detail.changes.photo) drawPhoto();
    draw();
  });
  new ResizeObserver(draw).observe(byId("editor"));
}
