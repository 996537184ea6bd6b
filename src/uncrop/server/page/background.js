// Hands work to the worker and waits for it.

const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const waiting = new Map();
let last = 0;

worker.addEventListener("message", ({ data: { id, output, error } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (error === undefined) resolve(output);
  else reject(new Error(error));
});

// Does one of the worker's tasks; `transfer` lists what is handed over rather than copied.
export function inBackground(task, input, transfer = []) {
  last += 1;
  const id = last;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, task, input }, transfer);
  });
}
