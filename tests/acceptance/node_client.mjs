// The published JavaScript sample: FormData and fetch, the key as a Bearer token. Arguments: address, key, then
// field=value, and field=@file for files. Prints one JSON line: status, headers, and the body in base64.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";

const [url, key, ...fields] = process.argv.slice(2);
const form = new FormData();
for (const field of fields) {
  const [name, value] = [field.slice(0, field.indexOf("=")), field.slice(field.indexOf("=") + 1)];
  if (value.startsWith("@")) form.append(name, new Blob([await readFile(value.slice(1))]), basename(value));
  else form.append(name, value);
}
const response = await fetch(url, { method: "POST", headers: { Authorization: `Bearer ${key}` }, body: form });
const body = Buffer.from(await response.arrayBuffer()).toString("base64");
console.log(JSON.stringify({ status: response.status, headers: Object.fromEntries(response.headers), body }));
