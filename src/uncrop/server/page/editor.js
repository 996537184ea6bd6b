// What is being edited: the photo, the sides, the shape, and who makes the pixels. Whoever shows or uses it listens.

import { NOTHING, SIDES, shaped } from "./geometry.js";

export const SHAPES = [
  ["free", "Free"], ["original", "Original"], ["1:1", "1:1"], ["4:5", "4:5"],
  ["3:2", "3:2"], ["16:9", "16:9"], ["9:16", "9:16"], ["own", "Own"],
];

class Editor extends EventTarget {
  photo = null; // { file, name, width, height, pixels }, where pixels is a bitmap of at most 2048 pixels a side
  sides = { ...NOTHING };
  shape = "free";
  own = [2, 1]; // of the shape "own": width and height
  anchor = "center";
  maker = null; // the row of the chosen maker
  values = {}; // of the maker's fields, by name
  variations = 1;
  maxCalls = 1;

  // Width over height of the chosen shape; null where any will do.
  get ratio() {
    if (this.shape === "free" || !this.photo) return null;
    if (this.shape === "original") return this.photo.width / this.photo.height;
    const [across, down] = this.shape === "own" ? this.own : this.shape.split(":").map(Number);
    return across > 0 && down > 0 ? across / down : null;
  }

  // Changes some of it. Every change by a person is an edit, which ends the view of a result.
  change(changes, { edit = true } = {}) {
    Object.assign(this, changes);
    this.dispatchEvent(new CustomEvent("change", { detail: { changes, edit } }));
  }

  setSides(sides, more = {}) {
    const rounded = Object.fromEntries(SIDES.map((side) => [side, Math.round(sides[side])]));
    this.change({ sides: rounded, ...more });
  }

  setPhoto(photo) {
    const sixth = Math.round(photo.width / 6);
    const sides = { ...NOTHING, left: sixth, right: sixth };
    this.change({ photo, sides, shape: "free", anchor: "center" });
  }

  setShape(shape, own = this.own) {
    Object.assign(this, { shape, own });
    const anchor = this.anchor ?? "center";
    const sides = this.photo && this.ratio ? shaped(this.photo, this.ratio, anchor) : this.sides;
    this.change({ shape, own, anchor, sides });
  }

  // What is needed to come back to this state.
  snapshot() {
    const { photo, sides, shape, own, anchor, maker, values, variations, maxCalls } = this;
    return { photo, sides: { ...sides }, shape, own: [...own], anchor, maker, values: { ...values }, variations, maxCalls };
  }
}

export const editor = new Editor();
