// How a photo comes in: chosen, dropped, pasted, or the example.

import { inBackground } from "./background.js";
import { announce, byId } from "./dom.js";
import { editor } from "./editor.js";
import { clearError, showError } from "./problems.js";

let latest = 0; // of several photos that are chosen quickly, the last one counts

export async function open(file, name = file.name) {
  latest += 1;
  const mine = latest;
  clearError();
  if (file.type && !file.type.startsWith("image/")) {
    showError(`${name} is no picture. Choose a JPEG, PNG or WebP.`);
    return;
  }
  try {
    const { width, height, pixels } = await inBackground("preview", { file });
    if (mine !== latest) return;
    editor.setPhoto({ file, name, width, height, pixels });
    announce(`${name}, ${width} by ${height} pixels`);
  } catch {
    if (mine === latest) showError(`${name} cannot be shown: this browser cannot read it as a picture. It may be damaged, or of another format than JPEG, PNG or WebP.`);
  }
}

async function openExample() {
  try {
    const response = await fetch("page/example.jpg");
    if (!response.ok) throw new TypeError();
    const file = new File([await response.blob()], "cat.jpg", { type: "image/jpeg" });
    await open(file);
  } catch {
    showError("The example could not be loaded: the server could not be reached.");
  }
}

// Pictures come from the clipboard without a name of their own.
function paste(event) {
  if (event.target.closest?.("input, textarea")) return;
  const items = [...(event.clipboardData?.items ?? [])];
  const picture = items.find((item) => item.kind === "file" && item.type.startsWith("image/"));
  const file = picture?.getAsFile();
  if (file) open(file, file.name && file.name !== "image.png" ? file.name : `pasted.${file.type.split("/")[1].replace("jpeg", "jpg")}`);
  else if (items.length) showError("What was pasted is no picture. Copy the picture itself, not its address.");
}

function drop(event) {
  event.preventDefault();
  byId("dropping").hidden = true;
  const file = event.dataTransfer.files[0];
  if (file) open(file);
  else showError("What was dropped is no file. Save the picture first, then drop the file.");
}

export function setUpPhotos() {
  const input = byId("file");
  for (const id of ["choose", "another"]) byId(id).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files[0]) open(input.files[0]);
    input.value = ""; // so that the same photo can be chosen again
  });
  byId("example").addEventListener("click", openExample);
  addEventListener("paste", paste);
  addEventListener("drop", drop);
  addEventListener("dragover", (event) => {
    event.preventDefault();
    byId("dropping").hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) byId("dropping").hidden = true;
  });
}
