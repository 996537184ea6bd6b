// Off the page's own thread: pictures are decoded, converted and taken out of answers here, so that the page stays
// quick whatever their size.

const PREVIEW = 2048; // pixels of the longer side; as much as a screen shows

// The photo upright, with its size, and a bitmap that is large enough to be looked at.
async function preview({ file }) {
  const whole = await createImageBitmap(file);
  const { width, height } = whole;
  const scale = Math.min(1, PREVIEW / Math.max(width, height));
  if (scale === 1) return { width, height, pixels: whole };
  const size = { resizeWidth: Math.max(1, Math.round(width * scale)), resizeHeight: Math.max(1, Math.round(height * scale)) };
  const pixels = await createImageBitmap(whole, { ...size, resizeQuality: "medium" });
  whole.close();
  return { width, height, pixels };
}

function toBlob({ base64, media_type: type }) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index += 1) bytes[index] = text.charCodeAt(index);
  return new Blob([bytes], { type });
}

// The pictures of an answer in JSON, in whichever of its two forms.
function unpack({ bytes }) {
  const answer = JSON.parse(new TextDecoder().decode(bytes));
  const pictures = answer.images ?? [{ ...answer.image, ...answer.report, confidence_map: answer.confidence_map }];
  return {
    pictures: pictures.map(({ base64, confidence_map: map, ...facts }) => ({
      facts,
      file: toBlob({ base64, media_type: facts.media_type }),
      map: map ? toBlob(map) : null,
    })),
    failures: answer.failures ?? [],
  };
}

async function drawn(file) {
  const bitmap = await createImageBitmap(file);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { canvas, context };
}

// The same picture in another format. A browser that cannot write it answers with PNG, which is an error here.
async function convert({ file, type }) {
  const { canvas, context } = await drawn(file);
  if (type === "image/jpeg") {
    // JPEG has no transparency; what is behind it becomes white, not black.
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  const made = await canvas.convertToBlob({ type, quality: 0.95 });
  if (made.type !== type) throw new Error(`This browser cannot write ${type}.`);
  return made;
}

// A map of confidence as a layer to lay over the picture: the less a place can be trusted, the more colour it has.
async function tint({ file }) {
  const map = await createImageBitmap(file);
  const scale = Math.min(1, PREVIEW / 2 / Math.max(map.width, map.height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(map.width * scale)), Math.max(1, Math.round(map.height * scale)));
  const context = canvas.getContext("2d");
  context.drawImage(map, 0, 0, canvas.width, canvas.height);
  map.close();
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let at = 0; at < image.data.length; at += 4) {
    const doubt = 255 - image.data[at];
    image.data.set([214, 40, 150, doubt * 0.75], at);
  }
  context.putImageData(image, 0, 0);
  return canvas.transferToImageBitmap();
}

const TASKS = { preview, unpack, convert, tint };

addEventListener("message", async ({ data: { id, task, input } }) => {
  try {
    postMessage({ id, output: await TASKS[task](input) });
  } catch (error) {
    postMessage({ id, error: error.message });
  }
});
