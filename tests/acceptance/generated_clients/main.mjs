// Reads requests from standard input as JSON, sends each through the compiled client, prints the answers.
// usage: node main.mjs SERVER KEY
import { readFile } from "node:fs/promises";
import { extend, file, live, providers } from "./made/client.js";

const [, , server, key] = process.argv;
let asked = "";
for await (const chunk of process.stdin) asked += chunk;
const answers = [];
for (const { fields, files } of JSON.parse(asked)) {
  const opened = await Promise.all(Object.entries(files).map(async ([name, path]) => [name, file(new Uint8Array(await readFile(path)))]));
  const answer = await extend(server, key, { ...fields, ...Object.fromEntries(opened) });
  answers.push({ ...answer, bytes: answer.bytes && Buffer.from(answer.bytes).toString("base64") });
}
process.stdout.write(JSON.stringify({ live: await live(server), providers: await providers(server), answers }));
