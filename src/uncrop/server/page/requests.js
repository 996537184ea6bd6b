// What is sent for a picture: the fields of the form, for the API and for curl.

import { credentials } from "./credentials.js";
import { SIDES, canvasOf } from "./geometry.js";
import { takes, valuesOf } from "./makers.js";

const MOST_A_SIDE = 2000; // pixels that the fields of the four sides take; a canvas says more

// The canvas, as sides where they can say it.
function geometryOf({ photo, sides }) {
  if (SIDES.every((side) => Math.abs(sides[side]) <= MOST_A_SIDE)) {
    return SIDES.filter((side) => sides[side]).map((side) => [`extend_${side}`, sides[side]]);
  }
  const { width, height } = canvasOf(photo, sides);
  return [["canvas_width", width], ["canvas_height", height], ["canvas_x", sides.left], ["canvas_y", sides.up]];
}

// All fields but the photo itself.
export function fieldsOf(state) {
  const { maker, variations, maxCalls } = state;
  return [
    ["provider", maker.name],
    ["organization_id", credentials().organization],
    ...geometryOf(state),
    ...valuesOf(state),
    ...(variations > 1 ? [["variations", variations]] : []),
    ...(maxCalls > 1 ? [["max_calls", maxCalls]] : []),
    ...(takes(maker, "confidence_map") ? [["confidence_map", "true"]] : []),
  ];
}
