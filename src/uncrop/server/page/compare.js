// Before and after: the photo on its empty canvas, laid over the picture up to where the slider stands.

import { byId } from "./dom.js";
import { canvasOf } from "./geometry.js";

const SHARE = 0.62; // of the window's height that a picture takes at most

// Gives the picture its place, with the photo at its own place in it.
export function showComparison({ url, state, width, height }) {
  const { photo, sides } = state;
  const canvas = canvasOf(photo, sides);
  byId("after").src = url;
  const whole = byId("compare");
  whole.style.aspectRatio = `${width} / ${height}`;
  whole.style.width = `min(100%, ${Math.round((innerHeight * SHARE * width) / height)}px)`;
  const target = byId("before-photo");
  target.width = photo.pixels.width;
  target.height = photo.pixels.height;
  target.getContext("2d").drawImage(photo.pixels, 0, 0);
  const percent = (length, of) => `${(100 * length) / of}%`;
  Object.assign(target.style, {
    left: percent(sides.left, canvas.width), top: percent(sides.up, canvas.height),
    width: percent(photo.width, canvas.width), height: percent(photo.height, canvas.height),
  });
  slideTo(0);
}

function slideTo(value) {
  byId("compare-range").value = value;
  byId("compare").style.setProperty("--at", `${value}%`);
  byId("compare-range").setAttribute("aria-valuetext", value === 0 ? "After" : value === 100 ? "Before" : `Before up to ${value} per cent`);
}

export function setUpComparison() {
  byId("compare-range").addEventListener("input", (event) => slideTo(event.target.valueAsNumber));
}
