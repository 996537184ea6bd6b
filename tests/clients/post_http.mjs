// Posts a photo by node:http, piece by piece, so that the body is chunked.
// usage: node post_http.mjs URL KEY ORGANIZATION PHOTO OUTPUT   prints the status
import { createReadStream, createWriteStream } from "node:fs";
import { request } from "node:http";
import { pipeline } from "node:stream/promises";

const [url, key, organization, photo, output] = process.argv.slice(2);
const boundary = "node-boundary";
const headers = { "X-API-Key": key, "Content-Type": `multipart/form-data; boundary=${boundary}` };
const sent = request(url, { method: "POST", headers });
const answered = new Promise((resolve, reject) => sent.on("response", resolve).on("error", reject));
for (const [name, value] of Object.entries({ provider: "clipdrop", organization_id: organization, extend_left: "16" })) {
  sent.write(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`);
}
sent.write(`--${boundary}\r\nContent-Disposition: form-data; name="image_file"; filename="photo.jpg"\r\n\r\n`);
await pipeline(createReadStream(photo, { highWaterMark: 500 }), sent, { end: false });
sent.end(`\r\n--${boundary}--\r\n`);
const response = await answered;
await pipeline(response, createWriteStream(output));
console.log(response.statusCode);
