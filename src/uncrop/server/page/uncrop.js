// The page: choose a photo, pull its borders, send the form to the API, show what comes back. No build step, no library.

const SIDES = ["left", "right", "up", "down"];
const MAX_SIDE = 2000;

const find = (id) => document.getElementById(id);
const form = find("form");
const side = (name) => form.elements[`extend_${name}`];
const pixels = (name) => Math.max(-MAX_SIDE, Math.min(MAX_SIDE, Number.parseInt(side(name).value, 10) || 0));

let photo = null; // { file, width, height, url }
let resultUrl = null;
const providers = new Map(); // name to its row of facts, as GET api/v1/providers tells it

// --- key: from the address's fragment (which no server sees), kept for this tab -----------------------------------------

const fragment = new URLSearchParams(location.hash.slice(1));
for (const [field, name] of [[find("key"), "key"], [form.elements.organization_id, "organization"]]) {
  if (fragment.has(name)) sessionStorage.setItem(`uncrop-${name}`, fragment.get(name));
  field.value = sessionStorage.getItem(`uncrop-${name}`) ?? "";
  field.addEventListener("change", () => sessionStorage.setItem(`uncrop-${name}`, field.value.trim()));
}
if (fragment.size) history.replaceState(null, "", location.pathname);

// --- the photo and the canvas around it ---------------------------------------------------------------------------------

async function choose(file) {
  say("");
  fail("");
  try {
    const bitmap = await createImageBitmap(file);
    if (photo) URL.revokeObjectURL(photo.url);
    photo = { file, width: bitmap.width, height: bitmap.height, url: URL.createObjectURL(file) };
    bitmap.close();
  } catch {
    fail(`${file.name} cannot be shown as a photo.`);
    return;
  }
  find("preview").src = photo.url;
  find("go").disabled = false;
  showPhoto();
}

function layout() {
  if (!photo) return;
  const add = Object.fromEntries(SIDES.map((name) => [name, pixels(name)]));
  const width = photo.width + add.left + add.right;
  const height = photo.height + add.up + add.down;
  const possible = width > 0 && height > 0;
  find("size").textContent = possible
    ? `${photo.width} × ${photo.height} → ${width} × ${height} pixels`
    : "The sides leave nothing of the photo.";
  if (!possible) return;
  const room = find("canvas").parentElement;
  const scale = Math.min((room.clientWidth - 44) / width, (window.innerHeight * 0.65) / height, 1);
  Object.assign(find("canvas").style, { width: `${width * scale}px`, height: `${height * scale}px` });
  Object.assign(find("preview").style, {
    left: `${add.left * scale}px`,
    top: `${add.up * scale}px`,
    width: `${photo.width * scale}px`,
    height: `${photo.height * scale}px`,
  });
  find("canvas").dataset.scale = String(scale);
}

function showPhoto() {
  find("drop").hidden = true;
  find("result").hidden = true;
  find("after").hidden = true;
  find("canvas").hidden = false;
  layout();
}

for (const handle of document.querySelectorAll(".handle")) {
  const name = handle.dataset.side;
  const sign = name === "left" || name === "up" ? -1 : 1;
  const horizontal = name === "left" || name === "right";
  handle.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
    const start = horizontal ? event.clientX : event.clientY;
    const before = pixels(name);
    const scale = Number(find("canvas").dataset.scale);
    const move = (moved) => set(name, before + Math.round((sign * ((horizontal ? moved.clientX : moved.clientY) - start)) / scale));
    handle.addEventListener("pointermove", move);
    handle.addEventListener("lostpointercapture", () => handle.removeEventListener("pointermove", move), { once: true });
  });
  handle.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step || horizontal !== event.key.match(/Left|Right/) instanceof Array) return;
    event.preventDefault();
    set(name, pixels(name) + sign * step * (event.shiftKey ? 64 : 16));
  });
}

function set(name, value) {
  side(name).value = Math.max(-MAX_SIDE, Math.min(MAX_SIDE, value));
  layout();
}

// --- sending ------------------------------------------------------------------------------------------------------------

function fields() {
  const body = new FormData();
  body.append("provider", form.elements.provider.value);
  body.append("organization_id", form.elements.organization_id.value.trim());
  for (const name of SIDES) if (pixels(name)) body.append(`extend_${name}`, pixels(name));
  for (const { name } of chosen()?.fields ?? []) {
    const value = form.elements[name]?.value.trim();
    if (value) body.append(name, value);
  }
  body.append("image_file", photo.file, photo.file.name);
  return body;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  fail("");
  find("after").hidden = true;
  find("go").disabled = true;
  const started = performance.now();
  const ticking = setInterval(() => say(`Extending… ${((performance.now() - started) / 1000).toFixed(0)} s`), 250);
  try {
    const body = fields();
    const asked = Object.fromEntries(SIDES.map((name) => [name, pixels(name)]));
    const response = await fetch("api/v1/images/uncrop", { method: "POST", headers: { "X-API-Key": find("key").value.trim() }, body });
    if (!response.ok) throw new Error(await explain(response));
    show(await response.blob(), response.headers, asked, (performance.now() - started) / 1000);
  } catch (error) {
    say("");
    fail(error instanceof TypeError ? "The server could not be reached." : error.message);
  } finally {
    clearInterval(ticking);
    find("go").disabled = false;
  }
});

async function explain(response) {
  const { error } = await response.json();
  const wait = response.headers.get("retry-after");
  const fieldsOf = error.details?.fields ? ` (${Object.keys(error.details.fields).join(", ")})` : "";
  return `${error.message}${fieldsOf}.${wait ? ` Try again in ${wait} s.` : ""} [${error.code}, trace ${error.trace_id}]`;
}

// The sides that were extended further than can be trusted, and how far they can.
function overreach(advice, asked) {
  const known = [...advice.matchAll(/(\w+)=(\d+)/g)].map(([, name, most]) => [name, Number(most)]);
  return known.filter(([name, most]) => asked[name] > most).map(([name, most]) => `${name} ${most}`);
}

function show(blob, headers, asked, seconds) {
  if (resultUrl) URL.revokeObjectURL(resultUrl);
  resultUrl = URL.createObjectURL(blob);
  find("result").src = resultUrl;
  find("result").hidden = false;
  find("canvas").hidden = true;
  find("after").hidden = false;
  const ending = blob.type.replace("image/", "").replace("jpeg", "jpg");
  find("download").href = resultUrl;
  find("download").download = `${photo.file.name.replace(/\.[^.]*$/, "")}-uncrop.${ending}`;
  const facts = [headers.get("x-provider"), `${seconds.toFixed(1)} s`];
  if (headers.has("x-seed")) facts.push(`seed ${headers.get("x-seed")}`);
  if (headers.has("x-confidence")) facts.push(`confidence ${Number(headers.get("x-confidence")).toFixed(2)}`);
  if (headers.has("x-repaint-difference")) facts.push(`repainted by ${Number(headers.get("x-repaint-difference")).toFixed(1)} levels`);
  const beyond = overreach(headers.get("x-advice") ?? "", asked);
  const warnings = [...(headers.get("x-warnings") ?? "").matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text]) => ` ${text.replace(/\\(.)/g, "$1")}.`);
  say(`Done: ${facts.join(", ")}.${beyond.length ? ` Confident up to ${beyond.join(", ")}.` : ""}${warnings.join("")}`);
}

const say = (text) => (find("status").textContent = text);
const fail = (text) => {
  find("error").textContent = text;
  find("error").hidden = !text;
};

// --- wiring -------------------------------------------------------------------------------------------------------------

const chosen = () => providers.get(form.elements.provider.value);

// The fields of the chosen provider alone, each within its limits.
function showFieldsOfProvider() {
  const rows = new Map((chosen()?.fields ?? []).map((row) => [row.name, row]));
  for (const label of document.querySelectorAll("[data-field]")) {
    const row = rows.get(label.dataset.field);
    label.hidden = !row;
    if (!row) continue;
    const input = form.elements[row.name];
    input.title = row.help;
    if (input.type === "number") Object.assign(input, { min: row.minimum, max: row.maximum });
    if (row.max_characters) input.maxLength = row.max_characters;
    if (row.choices) input.replaceChildren(...row.choices.map((choice) => new Option(choice, choice, choice === row.default, choice === row.default)));
  }
  find("sentence").textContent = chosen()?.sentence ?? "";
}

async function listProviders() {
  try {
    const response = await fetch("api/v1/providers");
    const list = (await response.json()).providers.filter((row) => row.configured);
    for (const row of list) providers.set(row.name, row);
    // What costs nothing comes first.
    list.sort((one, other) => one.bills - other.bills);
    form.elements.provider.replaceChildren(...list.map((row) => new Option(row.title, row.name)));
    showFieldsOfProvider();
  } catch {
    fail("The server could not be asked who can make pictures. Reload the page to try again.");
  }
}
form.elements.provider.addEventListener("change", showFieldsOfProvider);
for (const name of SIDES) side(name).addEventListener("input", layout);
find("photo").addEventListener("change", (event) => event.target.files[0] && choose(event.target.files[0]));
find("again").addEventListener("click", showPhoto);
addEventListener("resize", layout);
addEventListener("dragover", (event) => {
  event.preventDefault();
  find("drop").classList.add("over");
});
addEventListener("dragleave", () => find("drop").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  find("drop").classList.remove("over");
  if (event.dataTransfer.files[0]) choose(event.dataTransfer.files[0]);
});
listProviders();
