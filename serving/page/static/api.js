// The server's endpoints. Every failure becomes a Failure with what is wrong and what to do.

/** A refusal of the server, or status 0 where it cannot be reached. */
export class Failure extends Error {
  constructor(status, { error = "", detail = "", hint = null, request_id: id = null } = {}, retryAfter = null) {
    super(detail || error || `the server answered ${status}`);
    Object.assign(this, { status, error, detail: this.message, hint, requestId: id, retryAfter });
  }
}

const KEY = "flare-api-key";
let apiKey = sessionStorage.getItem(KEY) ?? "";

/** Remember the key until the tab is closed. */
export function useKey(key) {
  apiKey = key.trim();
  if (apiKey) sessionStorage.setItem(KEY, apiKey);
  else sessionStorage.removeItem(KEY);
}

export const hasKey = () => apiKey !== "";

async function ask(path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  if (apiKey) headers["X-API-Key"] = apiKey;
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, {
      error: "unreachable",
      detail: "The server cannot be reached.",
      hint: "Check that it runs and that you are online, then try again.",
    });
  }
  if (response.ok) return response;
  let body = {};
  try {
    body = await response.json();
  } catch {
    body = { detail: `The server answered ${response.status} ${response.statusText}`.trim() };
  }
  const text = typeof body.detail === "string" ? body.detail : JSON.stringify(body.detail);
  const wait = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  throw new Failure(response.status, { ...body, detail: text }, Number.isNaN(wait) ? null : wait);
}

const json = async (path, options) => (await ask(path, options)).json();

export const health = (signal) => json("/health", { signal });
export const model = () => json("/model");
export const history = (limit = 200) => json(`/history?limit=${limit}`);
export const example = async () => (await ask("/sample.npy", { headers: { Accept: "*/*" } })).blob();

/** Forecast from files of a kind of `kindOf`. */
export const predict = (kind, files, signal) => send(kind === "npy" ? "/predict_npy" : "/predict_images", kind, files, signal);

/** What the probability of class M or X rests on. */
export const explain = (kind, files, signal) => send("/explain", kind, files, signal);

/** One forecast of the history; null where it is not stored any more. */
export async function stored(id) {
  const page = await json(`/history?limit=1&before=${id + 1}`);
  return page.forecasts[0]?.id === id ? page.forecasts[0] : null;
}

function send(path, kind, files, signal) {
  if (kind === "npy") {
    const headers = { "Content-Type": "application/octet-stream" };
    return json(path, { method: "POST", body: files[0], headers, signal });
  }
  const body = new FormData();
  for (const file of files) body.append("files", file, file.name);
  return json(path, { method: "POST", body, signal });
}
