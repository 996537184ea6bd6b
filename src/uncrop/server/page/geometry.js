// Where the photo lies on the canvas: numbers in, numbers out. All lengths are pixels of the photo.
//
// Sides are how far the canvas reaches beyond the photo; a negative side crops the photo. The rules of ratios and
// anchors are the server's own (src/uncrop/geometry/notations.py), so that both come to the same numbers.

export const SIDES = ["left", "right", "up", "down"];
export const NOTHING = { left: 0, right: 0, up: 0, down: 0 };
export const SMALLEST = 16; // of what is kept of the photo, across and down
export const LARGEST = 30000;

// The share of what is added that goes to the left of the photo, and above it, in halves.
export const ANCHORS = {
  "top-left": [0, 0], top: [1, 0], "top-right": [2, 0],
  left: [0, 1], center: [1, 1], right: [2, 1],
  "bottom-left": [0, 2], bottom: [1, 2], "bottom-right": [2, 2],
};

const nearest = (value) => Math.floor(value + 0.5);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export const canvasOf = (photo, sides) => ({
  width: photo.width + sides.left + sides.right,
  height: photo.height + sides.up + sides.down,
});

// How much of the photo is left, across and down.
const keptOf = (photo, sides) => ({
  width: photo.width + Math.min(0, sides.left) + Math.min(0, sides.right),
  height: photo.height + Math.min(0, sides.up) + Math.min(0, sides.down),
});

// What is wrong with the sides, in words; an empty text if nothing is.
export function problemOf(photo, sides) {
  const kept = keptOf(photo, sides);
  const canvas = canvasOf(photo, sides);
  if (kept.width < 1 || kept.height < 1) return "The sides leave nothing of the photo.";
  if (Math.max(canvas.width, canvas.height) > LARGEST) return `The picture would be more than ${LARGEST} pixels wide or high.`;
  if (SIDES.every((side) => sides[side] === 0)) return "Add some pixels on a side, or choose a shape.";
  return "";
}

const isPossible = (photo, sides) => {
  const kept = keptOf(photo, sides);
  const canvas = canvasOf(photo, sides);
  const enough = (length, whole) => length >= Math.min(SMALLEST, whole);
  return enough(kept.width, photo.width) && enough(kept.height, photo.height) && Math.max(canvas.width, canvas.height) <= LARGEST;
};

// A canvas of a size, with the photo at an anchor.
export function anchored(photo, canvas, anchor) {
  const [across, down] = ANCHORS[anchor] ?? ANCHORS.center;
  const width = canvas.width - photo.width;
  const height = canvas.height - photo.height;
  const left = Math.floor((width * across) / 2);
  const up = Math.floor((height * down) / 2);
  return { left, right: width - left, up, down: height - up };
}

// The anchor at which the photo lies now; null where it lies at none.
export function anchorOf(photo, sides) {
  const same = (other) => SIDES.every((side) => sides[side] === other[side]);
  const lies = (anchor) => same(anchored(photo, canvasOf(photo, sides), anchor));
  return lies("center") ? "center" : (Object.keys(ANCHORS).find(lies) ?? null);
}

// The smallest canvas of a ratio that holds the whole photo. A photo that has the ratio already gets a quarter more.
export function shaped(photo, ratio, anchor) {
  const wide = { width: Math.max(photo.width, nearest(photo.height * ratio)), height: photo.height };
  const tall = { width: photo.width, height: Math.max(photo.height, nearest(photo.width / ratio)) };
  const canvas = photo.width / photo.height < ratio ? wide : tall;
  const same = canvas.width === photo.width && canvas.height === photo.height;
  const larger = { width: nearest(photo.width * 1.25), height: nearest(photo.height * 1.25) };
  return anchored(photo, same ? larger : canvas, anchor);
}

// The sides after a handle was moved: across and down are -1, 0 or 1, the edge that it moves in each direction.
export function resized(photo, sides, { across, down }, movedX, movedY, ratio = null) {
  const wished = ratio ? keepingRatio(photo, sides, { across, down }, movedX, movedY, ratio) : { ...sides };
  if (!ratio) {
    if (across < 0) wished.left -= nearest(movedX);
    if (across > 0) wished.right += nearest(movedX);
    if (down < 0) wished.up -= nearest(movedY);
    if (down > 0) wished.down += nearest(movedY);
  }
  return isPossible(photo, wished) ? wished : ratio ? sides : limited(photo, wished, sides, { across, down });
}

// The sides that were wished, as far as the photo allows.
function limited(photo, wished, sides, { across, down }) {
  const found = { ...wished };
  const limit = (side, opposite, length) => {
    const least = Math.min(SMALLEST, length) - length - Math.min(0, sides[opposite]);
    found[side] = clamp(found[side], least, LARGEST - length - sides[opposite]);
  };
  if (across) limit(across < 0 ? "left" : "right", across < 0 ? "right" : "left", photo.width);
  if (down) limit(down < 0 ? "up" : "down", down < 0 ? "down" : "up", photo.height);
  return found;
}

function keepingRatio(photo, sides, { across, down }, movedX, movedY, ratio) {
  const canvas = canvasOf(photo, sides);
  const byWidth = across * movedX;
  const byHeight = down * movedY * ratio;
  const grown = Math.abs(byWidth) >= Math.abs(byHeight) ? byWidth : byHeight;
  const width = Math.max(1, nearest(canvas.width + grown));
  const height = Math.max(1, nearest(width / ratio));
  const [left, right] = spread(sides.left, sides.right, width - photo.width, across);
  const [up, lower] = spread(sides.up, sides.down, height - photo.height, down);
  return { left, right, up, down: lower };
}

// Gives a new total to two opposite sides: to the one that is pulled, or, if neither is, as they share it now.
function spread(first, second, total, pulled) {
  if (pulled < 0) return [total - second, second];
  if (pulled > 0) return [first, total - first];
  const share = first + second === 0 ? 0.5 : clamp(first / (first + second), 0, 1);
  const part = nearest(total * share);
  return [part, total - part];
}

// The sides after the photo was moved inside a canvas that stays. It cannot leave the canvas, nor be cropped by more.
export function moved(photo, sides, movedX, movedY) {
  const slide = (first, second, by) => {
    const low = Math.min(first, second, 0);
    const left = clamp(first + nearest(by), low, first + second - low);
    return [left, first + second - left];
  };
  const [left, right] = slide(sides.left, sides.right, movedX);
  const [up, down] = slide(sides.up, sides.down, movedY);
  return { left, right, up, down };
}

// How the canvas and the whole photo are shown in a room: pixels of the screen for a pixel of the photo, and where
// the photo's top left corner lies.
export function fitted(photo, sides, room) {
  const left = Math.max(0, sides.left);
  const up = Math.max(0, sides.up);
  const width = left + photo.width + Math.max(0, sides.right);
  const height = up + photo.height + Math.max(0, sides.down);
  const scale = Math.min(room.width / width, room.height / height, 2);
  const x = room.x + (room.width - width * scale) / 2 + left * scale;
  const y = room.y + (room.height - height * scale) / 2 + up * scale;
  return { scale, x, y };
}
