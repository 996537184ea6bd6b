// Runs the script of the reference page over a document object model of a few lines, and prints what the page shows: its
// text, its code blocks, its links. usage: node render_docs.mjs SERVER SCRIPT
const [, , server, script] = process.argv;

class Element {
  constructor(tag) {
    Object.assign(this, { tag, attributes: {}, children: [] });
  }
  setAttribute(name, value) {
    this.attributes[name] = value;
  }
  append(...children) {
    this.children.push(...children);
  }
  replaceChildren(...children) {
    this.children = children;
  }
  set textContent(text) {
    this.children = [text];
  }
  get textContent() {
    return this.children.map((child) => (child instanceof Element ? child.textContent : String(child))).join("");
  }
  all() {
    return [this, ...this.children.flatMap((child) => (child instanceof Element ? child.all() : []))];
  }
}

const parts = Object.fromEntries(["contents", "reference", "state"].map((id) => [id, new Element("div")]));
const asked = [];
globalThis.document = { createElement: (tag) => new Element(tag), getElementById: (id) => parts[id] };
globalThis.location = new URL(`${server}/docs`);
const fetchFrom = globalThis.fetch;
globalThis.fetch = (address) => {
  asked.push(new URL(address, location).href);
  return fetchFrom(asked.at(-1));
};
await import(script);

const elements = [parts.contents, parts.reference].flatMap((part) => part.all());
const texts = (tag) => elements.filter((element) => element.tag === tag).map((element) => element.textContent);
process.stdout.write(
  JSON.stringify({
    asked,
    state: parts.state.textContent,
    blocks: texts("pre"),
    codes: texts("code"),
    text: parts.reference.textContent,
    links: elements.flatMap(({ attributes }) => ["href", "src"].flatMap((name) => attributes[name] ?? [])),
    ids: elements.flatMap(({ attributes }) => attributes.id ?? []),
    tags: [...new Set(elements.map(({ tag }) => tag))],
  }),
);
