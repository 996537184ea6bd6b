// Extends the example photo with fetch and FormData, Node 18 or newer. usage: node examples/client.mjs [local|clipdrop]
import { readFile, writeFile } from "node:fs/promises";

const url = process.env.UNCROP_URL ?? "http://127.0.0.1:8000";
const provider = process.argv[2] ?? "local";
const photo = await readFile(new URL("raccoon.jpg", import.meta.url));

const form = new FormData();
form.append("provider", provider);
form.append("organization_id", process.env.UNCROP_ORGANIZATION);
form.append("image_file", new Blob([photo], { type: "image/jpeg" }), "raccoon.jpg");
form.append("extend_left", "256");
form.append("extend_right", "256");

const response = await fetch(`${url}/api/v1/images/uncrop`, {
  method: "POST",
  headers: { Authorization: `Bearer ${process.env.UNCROP_KEY}` },
  body: form,
});
if (!response.ok) {
  const { error } = await response.json();
  console.error(`${error.status} ${error.code}: ${error.message} (trace ${error.trace_id})`);
  process.exit(1);
}
await writeFile(`raccoon-${provider}.jpg`, Buffer.from(await response.arrayBuffer()));
console.log(`raccoon-${provider}.jpg`, response.headers.get("x-provider"), response.headers.get("server-timing"));
