// What a picture leaves the page as: a file in three formats, the clipboard, and a command that makes it again.

import { UNCROP } from "./api.js";
import { inBackground } from "./background.js";
import { credentials } from "./credentials.js";
import { announce, byId, element } from "./dom.js";
import { showError } from "./problems.js";

const FORMATS = { "image/jpeg": ["JPEG", "jpg"], "image/png": ["PNG", "png"], "image/webp": ["WebP", "webp"] };

let result = null;

// --- download ---------------------------------------------------------------------------------------------------------

const nameOf = ({ state }, type) => `${state.photo.name.replace(/\.[^.]*$/, "")}-uncrop.${FORMATS[type][1]}`;

// Offers the picture as it was made, and the two other formats.
export function showFormats(shown) {
  result = shown;
  const made = shown.file.type;
  const types = [made, ...Object.keys(FORMATS).filter((type) => type !== made)];
  const option = (type) => element("option", { value: type }, type === made ? `${FORMATS[type][0]}, as made` : FORMATS[type][0]);
  byId("format").replaceChildren(...types.map(option));
  offer(made, shown.url);
}

function offer(type, url) {
  Object.assign(byId("download"), { href: url, download: nameOf(result, type) });
}

async function changeFormat() {
  const [type, wanted] = [byId("format").value, result];
  if (type === wanted.file.type) return offer(type, wanted.url);
  wanted.converted ??= {};
  try {
    wanted.converted[type] ??= URL.createObjectURL(await inBackground("convert", { file: wanted.file, type }));
    if (result === wanted && byId("format").value === type) offer(type, wanted.converted[type]);
  } catch (error) {
    showError(error.message);
    byId("format").value = wanted.file.type;
  }
}

// --- clipboard --------------------------------------------------------------------------------------------------------

// Copies a text. Where the page does not come over https, browsers know only the old way.
async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = element("textarea", { value: text, className: "offscreen", "aria-hidden": "true" });
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("This browser did not allow to copy.");
  return undefined;
}

async function copyPicture() {
  try {
    const png = inBackground("convert", { file: result.file, type: "image/png" });
    await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
    confirmCopy("copy-picture");
  } catch {
    showError("This browser did not allow to copy the picture. Download it instead.");
  }
}

// --- curl -------------------------------------------------------------------------------------------------------------

const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
// In a form's part, curl takes quotes and backslashes apart, but for those that are escaped.
const file = (name) => `"${name.replace(/(["\\])/g, "\\$1")}"`;

// The command that makes the shown picture again: the same fields, with its seed, and one picture of several.
export function curlOf({ state, fields, facts }) {
  const { key } = credentials();
  const seed = facts.seed ?? null;
  const left = new Set(["variations", "confidence_map", ...(seed === null ? [] : ["seed"])]);
  const sent = fields.filter(([name]) => !left.has(name));
  if (seed !== null) sent.push(["seed", seed]);
  const name = state.photo.name;
  return [
    `curl --fail-with-body ${quoted(new URL(UNCROP, document.baseURI).href)}`,
    `-H ${quoted(`X-API-Key: ${key}`)}`,
    ...sent.map(([field, value]) => `--form-string ${quoted(`${field}=${value}`)}`),
    `-F ${quoted(`image_file=@${file(name)}`)}`,
    `-o ${quoted(nameOf({ state }, result.file.type))}`,
  ].join(" \\\n  ");
}

async function copyCurl() {
  try {
    await copyText(curlOf(result));
    confirmCopy("copy-curl");
  } catch (error) {
    showError(error.message);
  }
}

const SAID = {
  "copy-picture": ["Copied", "The picture is in the clipboard."],
  "copy-curl": ["Copied, with your key", "The command is in the clipboard. It holds your key, and is run in the photo's folder."],
};

function confirmCopy(id) {
  const button = byId(id);
  const label = button.dataset.label ?? button.textContent;
  button.dataset.label = label;
  [button.textContent] = SAID[id];
  announce(SAID[id][1]);
  setTimeout(() => { button.textContent = label; }, 2500);
}

export function setUpExports() {
  byId("format").addEventListener("change", changeFormat);
  byId("copy-curl").addEventListener("click", copyCurl);
  byId("copy-picture").addEventListener("click", copyPicture);
  // Without https, browsers copy no pictures.
  byId("copy-picture").hidden = !(navigator.clipboard && "ClipboardItem" in window);
}
