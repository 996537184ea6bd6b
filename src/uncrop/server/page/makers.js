// Who makes the pixels: the makers that are configured, each with its price and a sentence, and the fields of the
// chosen one. All of it is read from the rows of GET api/v1/providers; no maker is known here by its name.

import { PROVIDERS, read, send } from "./api.js";
import { byId, element } from "./dom.js";
import { editor } from "./editor.js";
import { showError } from "./problems.js";

// A mask has no place on this page, the size goes with one, and the map is always asked for where there is one.
const NOT_SHOWN = new Set(["mask_file", "size", "confidence_map"]);
const MOST_VARIATIONS = 4;
const CREDITS = { credit: "credits" };

let rows = [];

const plain = (name) => name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());

export const takes = (maker, field) => maker?.fields.some((each) => each.name === field) ?? false;
export const makerNamed = (name) => rows.find((row) => row.name === name) ?? null;

// A price in words: "4 credits a picture".
export function priceOf({ bills, price }) {
  if (!bills) return "Free";
  if (!price) return "Paid, price unknown";
  return `${amountOf(price.amount, price.unit)} a ${price.per}`;
}

export function amountOf(amount, unit) {
  const many = Number(amount) === 1 ? unit : (CREDITS[unit] ?? unit);
  return `${amount} ${many}`;
}

// --- the list ---------------------------------------------------------------------------------------------------------

function card(row) {
  const input = element("input", { type: "radio", name: "maker", value: row.name, "aria-describedby": `about-${row.name}` });
  const title = element("span", { className: "title" }, row.title);
  const price = element("span", { className: row.bills ? "price" : "price free" }, priceOf(row));
  const about = element("span", { className: "about", id: `about-${row.name}` }, row.sentence);
  return element("label", { className: "maker" }, input, title, price, about);
}

async function list() {
  try {
    const { providers } = await read(await send(PROVIDERS));
    // What costs nothing comes first.
    rows = providers.filter((row) => row.configured).sort((one, other) => one.bills - other.bills);
  } catch (error) {
    showError(error);
    byId("makers").replaceChildren(element("button", { type: "button", onclick: list }, "Ask again who can make pictures"));
    return;
  }
  byId("makers").replaceChildren(...rows.map(card));
  if (rows.length) editor.change({ maker: rows[0] }, { edit: false });
  else byId("makers").replaceChildren(element("p", { className: "hint" }, "No maker is configured on this server."));
}

// --- the fields of the chosen one -------------------------------------------------------------------------------------

function control(row) {
  const shared = { name: row.name, id: `field-${row.name}`, "aria-describedby": `help-${row.name}` };
  if (row.choices) {
    const made = element("select", shared, ...row.choices.map((choice) => element("option", { value: choice }, plain(choice))));
    made.value = editor.values[row.name] ?? row.default ?? row.choices[0];
    return made;
  }
  const value = editor.values[row.name] ?? "";
  if (row.minimum !== undefined || row.maximum !== undefined) {
    return element("input", { ...shared, type: "number", min: row.minimum, max: row.maximum, step: 1, value, placeholder: "Drawn", inputMode: "numeric" });
  }
  return element("textarea", { ...shared, rows: 2, value, ...(row.max_characters ? { maxLength: row.max_characters } : {}) });
}

function fieldOf(row) {
  const help = element("span", { className: "hint", id: `help-${row.name}` }, row.help);
  return element("label", { className: "field", "data-field": row.name }, element("span", {}, plain(row.name)), control(row), help);
}

function variationsField() {
  const options = Array.from({ length: MOST_VARIATIONS }, (_, index) => element("option", { value: index + 1 }, String(index + 1)));
  const made = element("select", { id: "field-variations", "aria-describedby": "help-variations" }, ...options);
  made.value = String(editor.variations);
  made.addEventListener("change", () => editor.change({ variations: Number(made.value), maxCalls: 1 }));
  const help = element("span", { className: "hint", id: "help-variations" }, "Made at once; they differ in their seeds.");
  return element("label", { className: "field" }, element("span", {}, "Pictures"), made, help);
}

function showFields() {
  const { maker } = editor;
  for (const each of document.querySelectorAll("input[name=maker]")) each.checked = each.value === maker?.name;
  const shown = (maker?.fields ?? []).filter((row) => !NOT_SHOWN.has(row.name));
  byId("fields").replaceChildren(...(maker ? [...shown.map(fieldOf), variationsField()] : []));
}

// The values of the chosen maker's own fields that are filled in, in the order of its row.
export function valuesOf({ maker, values }) {
  const own = (maker?.fields ?? []).filter((row) => !NOT_SHOWN.has(row.name));
  return own.map((row) => [row.name, String(values[row.name] ?? row.default ?? "").trim()]).filter(([, value]) => value);
}

export async function setUpMakers() {
  byId("makers").addEventListener("change", (event) => editor.change({ maker: makerNamed(event.target.value), maxCalls: 1 }));
  byId("fields").addEventListener("input", ({ target }) => {
    if (!target.name) return;
    target.setAttribute("aria-invalid", String(!target.validity.valid));
    editor.change({ values: { ...editor.values, [target.name]: target.value } });
  });
  // What is no number is not left standing where it would not be sent.
  byId("fields").addEventListener("change", ({ target }) => {
    if (!target.validity?.badInput) return;
    target.value = editor.values[target.name] ?? "";
    target.removeAttribute("aria-invalid");
  });
  editor.addEventListener("change", ({ detail: { changes } }) => {
    const typing = byId("fields").contains(document.activeElement) && !changes.maker;
    if ("maker" in changes || (!typing && ("values" in changes || "variations" in changes))) showFields();
  });
  await list();
}
