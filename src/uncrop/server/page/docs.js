// The API reference: reads openapi.json and the list of providers and sets them out. Nothing is known here about fields,
// providers or errors; what the server says is shown. No build step, no library.

let spec = {};

const follow = (node) => (node?.$ref ? node.$ref.slice(2).split("/").reduce((at, step) => at[step], spec) : (node ?? {}));

// --- elements -----------------------------------------------------------------------------------------------------------

function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) element.setAttribute(name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== ""));
  return element;
}

const code = (text) => make("code", null, text);
const block = (text) => make("pre", { tabindex: "0" }, make("code", null, text));
const words = (text) => String(text ?? "").split("`").map((part, index) => (index % 2 ? code(part) : part));
const paragraphs = (text) => String(text ?? "").split("\n\n").filter(Boolean).map((part) => make("p", null, words(part)));
const lines = (value) => block(JSON.stringify(value, null, 2));

function table(heads, rows) {
  const head = make("tr", null, heads.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map((cells) => make("tr", null, cells.map((cell) => make("td", null, cell))));
  return make("div", { class: "wide", tabindex: "0" }, make("table", null, make("thead", null, head), make("tbody", null, body)));
}

// --- schemas ------------------------------------------------------------------------------------------------------------

function kind(schema) {
  if (schema.contentMediaType || schema.format === "binary") return "file";
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.anyOf ?? schema.oneOf) return (schema.anyOf ?? schema.oneOf).map((each) => kind(follow(each))).join(" or ");
  if (schema.allOf) return schema.allOf.map((each) => kind(follow(each))).find(Boolean) ?? "";
  if (schema.type === "array") return `list of ${kind(follow(schema.items))}`;
  return [schema.type ?? []].flat().join(" or ");
}

function rules(schema) {
  const said = [];
  if (schema.enum) said.push(schema.enum.map((value) => `\`${value}\``).join(", "));
  if (schema.minimum !== undefined && schema.maximum !== undefined) said.push(`${schema.minimum} to ${schema.maximum}`);
  else if (schema.minimum !== undefined) said.push(`at least ${schema.minimum}`);
  else if (schema.maximum !== undefined) said.push(`at most ${schema.maximum}`);
  if (schema.maxLength !== undefined) said.push(`at most ${schema.maxLength} characters`);
  if (schema.pattern) said.push(`like \`${schema.pattern}\``);
  if (schema.default !== undefined) said.push(`default \`${schema.default}\``);
  if (schema.examples) said.push(`such as ${schema.examples.map((value) => `\`${value}\``).join(", ")}`);
  return said.join("; ");
}

function fieldRow(name, schema, required) {
  const first = [code(name), ...(required ? [make("br"), make("span", { class: "required" }, "required")] : [])];
  const said = rules(schema);
  return [first, kind(schema), [...paragraphs(schema.description), said ? make("p", { class: "rules" }, words(said)) : ""]];
}

// Rows of an object and of the objects in it, whose fields are named by their path.
function fieldRows(schema, path = "") {
  return Object.entries(schema.properties ?? {}).flatMap(([name, node]) => {
    const field = { ...follow(node), ...(node.description ? { description: node.description } : {}) };
    const inner = field.type === "array" ? follow(field.items) : (field.anyOf?.map(follow).find((each) => each.properties) ?? field);
    const full = path + name;
    const rows = [fieldRow(full, field, (schema.required ?? []).includes(name))];
    return inner.properties ? [...rows, ...fieldRows(inner, `${full}${field.type === "array" ? "[]" : ""}.`)] : rows;
  });
}

// --- examples -----------------------------------------------------------------------------------------------------------

const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${String(text).replaceAll("'", "'\\''")}'`);

function curl(method, path, operation, form) {
  const inPath = (operation.parameters ?? []).map(follow).filter((each) => each.in === "path");
  const filled = inPath.reduce((at, each) => at.replace(`{${each.name}}`, each.example ?? `{${each.name}}`), path);
  const parts = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${quoted(decodeURI(new URL(filled.slice(1), location.href).href))}`];
  if (operation.security?.length) parts.push('-H "X-API-Key: $UNCROP_KEY"');
  for (const [name, value] of Object.entries(form?.value ?? {})) {
    const schema = form.schema.properties[name] ?? {};
    const file = kind(follow(schema)) === "file" ? `@${/\((?:the bytes of )?(.*)\)/.exec(value)?.[1] ?? value}` : value;
    parts.push(`-F ${quoted(`${name}=${file}`)}`);
  }
  if (form?.output) parts.push(`-o ${form.output}`);
  return parts.join(" \\\n  ");
}

// --- operations ---------------------------------------------------------------------------------------------------------

function request(operation) {
  const found = [];
  const parameters = (operation.parameters ?? []).map(follow);
  if (parameters.length) {
    const rows = parameters.map((each) => {
      const [name, type, said] = fieldRow(each.name, { ...follow(each.schema), description: each.description }, each.required);
      return [name, each.in, type, said];
    });
    found.push(make("h4", null, "Parameters"), table(["name", "in", "type", "meaning"], rows));
  }
  const body = follow(operation.requestBody);
  for (const [type, content] of Object.entries(body.content ?? {})) {
    found.push(make("h4", null, "Body: ", code(type)), ...paragraphs(body.description));
    found.push(table(["field", "type", "meaning"], fieldRows(follow(content.schema))));
  }
  return found;
}

function examples(method, path, operation) {
  const found = [make("h4", null, "Example")];
  const contents = Object.values(follow(operation.requestBody).content ?? {});
  // A picture goes to a file, anything else to the screen.
  const output = Object.keys(follow(operation.responses?.["200"]).content ?? {}).some((type) => type.startsWith("image/")) ? "wide" : undefined;
  if (!contents.length) return [...found, block(curl(method, path, operation))];
  for (const content of contents) {
    const schema = follow(content.schema);
    for (const [name, example] of Object.entries(content.examples ?? {})) {
      const { value, summary } = follow(example);
      found.push(make("p", null, words(summary ?? `\`${name}\``)), block(curl(method, path, operation, { value, schema, output })));
    }
  }
  return found;
}

function headerTable(response) {
  const rows = Object.entries(response.headers ?? {}).map(([name, node]) => {
    const header = follow(node);
    const said = rules(follow(header.schema));
    return [code(name), [...paragraphs(header.description), said ? make("p", { class: "rules" }, words(said)) : ""]];
  });
  return rows.length ? [make("h4", null, "Headers"), table(["header", "meaning"], rows)] : [];
}

function success(status, response) {
  const found = [make("h4", null, `Answer ${status}`), ...paragraphs(response.description)];
  const types = Object.entries(response.content ?? {});
  if (types.length) found.push(make("p", null, types.flatMap(([type], index) => [index ? ", " : "", code(type)])));
  for (const [type, content] of types) {
    const schema = follow(content.schema);
    const rows = (schema.anyOf ?? [schema]).flatMap((each) => fieldRows(follow(each)));
    if (rows.length) found.push(make("details", null, make("summary", null, "Fields of ", code(type)), table(["field", "type", "meaning"], rows)));
  }
  return [...found, ...headerTable(response)];
}

// Every error has the same body: it is shown of the first, and of those that tell more than their message.
function failures(responses) {
  const errors = responses.flatMap(([status, { content }]) =>
    Object.values(content ?? {}).flatMap(({ examples }) => Object.entries(examples ?? {}).map(([name, example]) => [status, name, follow(example).value])),
  );
  const rows = errors.map(([status, name, value], index) => {
    const body = index && !value.error?.details ? "" : make("details", null, make("summary", null, "body"), lines(value));
    return [status, code(name), [...words(value.error?.message), body]];
  });
  return rows.length ? [make("h4", null, "Errors"), table(["status", "code", "message"], rows)] : [];
}

const content = ({ parameters, requestBody, responses, security }) => JSON.stringify({ parameters, requestBody, responses, security });

// One operation; of another address of the same thing only that it is one.
function section({ path, method, operation }, before) {
  const responses = Object.entries(operation.responses ?? {}).map(([status, node]) => [status, follow(node)]);
  const good = responses.filter(([status]) => status < "300");
  const title = make("h3", { id: operation.operationId }, operation.summary);
  const address = make("p", { class: "address" }, make("span", { class: "method" }, method.toUpperCase()), path);
  const same = before.find((each) => each.method === method && content(each.operation) === content(operation));
  if (same) {
    const link = make("a", { href: `#${same.operation.operationId}` }, `${method.toUpperCase()} ${same.path}`);
    return [title, address, make("p", null, "Takes and answers the same as ", link, ".")];
  }
  return [
    title,
    address,
    ...paragraphs(operation.description),
    ...request(operation),
    ...examples(method, path, operation),
    ...good.flatMap(([status, response]) => success(status, response)),
    ...failures(responses.filter(([status]) => status >= "300")),
  ];
}

// --- the page -----------------------------------------------------------------------------------------------------------

function credentials() {
  const schemes = Object.values(spec.components?.securitySchemes ?? {});
  const rows = schemes.map((scheme) => [
    code(scheme.type === "http" ? "Authorization" : scheme.name),
    code(scheme.type === "http" ? "Bearer $UNCROP_KEY" : "$UNCROP_KEY"),
    paragraphs(scheme.description),
  ]);
  return [make("h2", { id: "credentials" }, "Credentials"), make("p", null, "One of these headers carries the key."), table(["header", "value", ""], rows)];
}

const megabytes = (bytes) => `${bytes / 1e6} MB`;
const plain = (name) => name.replaceAll("_", " ");
const listed = (values) => values.join(", ");

// What a provider takes, line by line.
function limits({ geometry, upload, fields, price, requests_per_minute: perMinute }) {
  const of = Object.entries(geometry).filter(([name, value]) => typeof value !== "boolean" && value !== 1 && name !== "speaks");
  return [
    ["photo", `${listed(upload.formats)}, at most ${megabytes(upload.max_bytes)}`],
    ...of.map(([name, value]) => [plain(name), Array.isArray(value) ? listed(value) : String(value)]),
    ["fields", listed(["sides", ...fields.map((field) => `\`${field.name}\``)])],
    ...(price ? [["price", `${price.amount} ${price.unit} for each ${price.per} (${price.date})`]] : []),
    ...(perMinute ? [["requests a minute", String(perMinute)]] : []),
  ];
}

function providers(list) {
  const rows = list.map((each) => {
    const state = each.configured ? "" : make("p", { class: "rules" }, "not configured on this server");
    return [code(each.name), [make("p", null, each.sentence), state], limits(each).map(([name, said]) => make("p", null, make("span", { class: "quiet" }, `${name}: `), words(said)))];
  });
  return [make("h2", { id: "providers" }, "Providers"), table(["provider", "", "takes"], rows)];
}

function show(found, list) {
  spec = found;
  const operations = Object.entries(spec.paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => ({ path, method, operation })));
  const tags = [...new Set(operations.flatMap(({ operation }) => operation.tags ?? []))];
  const page = [
    make("h1", null, spec.info.title, " ", make("span", { class: "quiet" }, spec.info.version)),
    ...paragraphs(spec.info.summary),
    make("p", null, make("a", { href: "openapi.json" }, "openapi.json"), " is this page for programs; ", make("a", { href: "./" }, "the page"), " is for trying it by hand."),
    ...credentials(),
    ...providers(list),
  ];
  const contents = ["Credentials", "Providers"].map((title) => make("li", null, make("a", { href: `#${title.toLowerCase()}` }, title)));
  for (const tag of tags) {
    const { name, description } = (spec.tags ?? []).find((each) => each.name === tag) ?? { name: tag };
    page.push(make("h2", { id: `tag-${name}` }, name), ...paragraphs(description));
    contents.push(make("li", null, make("a", { href: `#tag-${name}` }, name)));
    const tagged = operations.filter((each) => each.operation.tags?.includes(tag));
    for (const [index, { path, method, operation }] of tagged.entries()) {
      page.push(make("section", null, section(tagged[index], tagged.slice(0, index))));
      contents.push(make("li", { class: "inner" }, make("a", { href: `#${operation.operationId}` }, `${method.toUpperCase()} ${path}`)));
    }
  }
  document.getElementById("reference").replaceChildren(...page);
  document.getElementById("contents").replaceChildren(make("ul", null, contents));
}

async function read(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: status ${response.status}`);
  return response.json();
}

try {
  const [found, list] = await Promise.all(["openapi.json", "api/v1/providers"].map(read));
  show(found, list.providers);
} catch (error) {
  document.getElementById("state").textContent = `The description could not be read: ${error.message}`;
}
