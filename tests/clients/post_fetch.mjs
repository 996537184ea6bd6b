// Posts a photo by Node's fetch, which is undici.
// usage: node post_fetch.mjs URL KEY ORGANIZATION PHOTO OUTPUT   prints the status
import { openAsBlob } from "node:fs";
import { writeFile } from "node:fs/promises";

const [url, key, organization, photo, output] = process.argv.slice(2);
const form = new FormData();
form.set("provider", "clipdrop");
form.set("organization_id", organization);
form.set("extend_left", "16");
form.set("image_file", await openAsBlob(photo));
const response = await fetch(url, { method: "POST", headers: { "X-API-Key": key }, body: form });
await writeFile(output, Buffer.from(await response.arrayBuffer()));
console.log(response.status);
