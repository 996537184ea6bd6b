// What somebody writes who uses the types that openapi-typescript makes of the document, with openapi-fetch. It must
// compile under `strict`, and does what the test asks for.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Form = components["schemas"]["UncropForm"];
type WithMap = components["schemas"]["PictureWithMap"];
type Failure = components["schemas"]["Error"];

export interface Answer {
  status: number;
  type: string | null;
  provider: string | null;
  bytes: Uint8Array | null;
  map: WithMap | null;
  code: Failure["error"]["code"] | null;
}

// A file is a `string` in the types, as binary data always is there; in the form it is a Blob.
export const file = (bytes: Uint8Array<ArrayBuffer>): string => new Blob([bytes]) as unknown as string;

function bodySerializer(body: Form): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(body)) form.append(name, typeof value === "object" ? (value as Blob) : String(value));
  return form;
}

export async function extend(server: string, key: string, body: Form): Promise<Answer> {
  const client = createClient<paths>({ baseUrl: server, headers: { "X-API-Key": key } });
  const { data, error, response } = await client.POST("/api/v1/images/uncrop", { body, bodySerializer, parseAs: "blob" });
  const type = response.headers.get("content-type");
  return {
    status: response.status,
    type,
    provider: response.headers.get("x-provider"),
    bytes: data ? new Uint8Array(await data.arrayBuffer()) : null,
    map: data && type === "application/json" ? (JSON.parse(await data.text()) as WithMap) : null,
    code: error ? error.error.code : null,
  };
}

export async function providers(server: string): Promise<Record<string, number>> {
  const { data } = await createClient<paths>({ baseUrl: server }).GET("/api/v1/providers");
  return Object.fromEntries((data?.providers ?? []).map(({ name, upload }) => [name, upload.max_bytes]));
}

export async function live(server: string): Promise<string | undefined> {
  const { data } = await createClient<paths>({ baseUrl: server }).GET("/livez");
  return data?.status;
}
