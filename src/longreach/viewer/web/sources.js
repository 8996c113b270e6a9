/**
 * Where a run comes from.
 *
 * Covers: a run embedded in the page (`longreach export`), runs behind an HTTP API (`longreach view`, `longreach serve`); records as they
 * come, texts by their hash, the beginnings of texts, searching all texts. Does not cover: what records mean (trajectory.js).
 *
 * A source has: records(onRecords, onState, signal), text(sha), heads(shas) and search(query) -> Map of sha to how often it is found there.
 */

const RETRY_MS = 2000;

/** The server wants an API key. */
export class NeedsKey extends Error {}

/** An answer of the server that is no success. `status`: of HTTP. */
export class Refused extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

// --- embedded

/** A run that lies in this page, in script elements of base64 that is no script. */
export class EmbeddedSource {
  constructor() {
    this._manifest = null;
    this._chunks = new Map();
  }

  async records(onRecords, onState) {
    const [records] = await Promise.all([unpack("records"), this._load()]);
    onRecords(
      records
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
    );
    onState("done");
  }

  /** A text; where only its beginning and end are in this file, with a line between them that says so. */
  async text(sha) {
    const entry = (await this._load()).get(sha);
    if (!entry) throw new Refused("this file does not have the text");
    return (await this._chunk(entry.chunk))[entry.index];
  }

  async heads(shas) {
    const manifest = await this._load();
    return new Map(shas.map((sha) => [sha, manifest.get(sha)?.head ?? ""]));
  }

  async search(query) {
    const found = new Map();
    const wanted = query.toLowerCase();
    for (const [sha, entry] of await this._load()) {
      const text = (await this._chunk(entry.chunk))[entry.index];
      const times = occurrences(text.toLowerCase(), wanted);
      if (times) found.set(sha, times);
    }
    return found;
  }

  async _load() {
    this._manifest ??= unpack("texts").then((text) => new Map(Object.entries(JSON.parse(text))));
    return this._manifest;
  }

  async _chunk(number) {
    if (!this._chunks.has(number))
      this._chunks.set(
        number,
        unpack(`chunk-${number}`).then((text) => JSON.parse(text)),
      );
    return this._chunks.get(number);
  }
}

/** What a script element with this id holds: base64 of gzip of UTF-8. */
async function unpack(id) {
  const packed = atob(document.getElementById(`data-${id}`).textContent.trim());
  const bytes = Uint8Array.from(packed, (each) => each.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

/** How often `wanted` is in `text`; both in lower case. */
export function occurrences(text, wanted) {
  let times = 0;
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) times += 1;
  return times;
}

// --- over HTTP

/** The HTTP API of `longreach serve`; `longreach view` has the same paths. `key`: an API key, or ''. */
export class Server {
  constructor(key = "") {
    this.key = key;
  }

  /** The newest runs, those before the run `before` where that is given. */
  async runs(before = "") {
    return (await this.get(`v1/runs?limit=50${before ? `&before=${encodeURIComponent(before)}` : ""}`)).json();
  }

  /** A run as the server knows it: its status, and why it ended. */
  async run(id) {
    return (await this.get(runPath(id))).json();
  }

  /** End a run; the run once it has ended. */
  async cancel(id) {
    return (await this.get(`${runPath(id)}/cancel`, { method: "POST" })).json();
  }

  /** Go on with a run, within its own budget or another one; the run. */
  async resume(id, budget = null) {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify(budget ? { budget } : {});
    return (await this.get(`${runPath(id)}/resume`, { method: "POST", headers, body })).json();
  }

  /** The run as a source. */
  source(id) {
    return new HttpSource(this, id);
  }

  async get(path, options = {}) {
    const headers = { ...options.headers, ...(this.key ? { Authorization: `Bearer ${this.key}` } : {}) };
    const response = await fetch(path, {
      ...options,
      headers,
      cache: "no-store",
      redirect: "error",
      credentials: "omit",
    });
    if (response.status === 401) throw new NeedsKey(await complaint(response));
    if (!response.ok) throw new Refused(await complaint(response), response.status);
    return response;
  }
}

async function complaint(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error.message;
  } catch {
    return `${response.status} ${response.statusText}: ${text.slice(0, 200)}`;
  }
}

function runPath(id) {
  return `v1/runs/${encodeURIComponent(id)}`;
}

/** One run behind the API. */
class HttpSource {
  constructor(server, id) {
    this._server = server;
    this._path = runPath(id);
    this._texts = new Map();
    this._last = -1;
  }

  /**
   * Pass on what is there, then what comes, until the run ends. A connection that breaks is made again after the last record. Called again,
   * it passes on what has come since: of a run that was resumed.
   */
  async records(onRecords, onState, signal) {
    let over = false;
    const take = (records) => {
      onState("live");
      for (const each of records) {
        this._last = Math.max(this._last, each.seq);
        if (each.branch === "0" && each.event === "run.ended") over = true;
        if (each.branch === "0" && each.event === "run.resumed") over = false;
      }
      onRecords(records);
    };
    while (!signal.aborted) {
      try {
        await this._stream(take, signal);
        if (over) return onState("done");
        onState("stopped");
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof NeedsKey || error instanceof Refused) throw error;
        onState("reconnecting");
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  async text(sha) {
    if (!this._texts.has(sha)) {
      const read = this._server.get(`${this._path}/texts/${sha}`).then((response) => response.text());
      read.catch(() => this._texts.delete(sha));
      this._texts.set(sha, read);
    }
    return this._texts.get(sha);
  }

  async heads(shas) {
    const response = await this._server.get(`${this._path}/heads?of=${shas.join(",")}`);
    return new Map(Object.entries(await response.json()));
  }

  async search(query) {
    const response = await this._server.get(`${this._path}/search?q=${encodeURIComponent(query)}`);
    return new Map(Object.entries(await response.json()));
  }

  async _stream(take, signal) {
    const headers = this._last >= 0 ? { "Last-Event-ID": String(this._last) } : {};
    const response = await this._server.get(`${this._path}/events`, { headers, signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      const records = blocks.map(eventData).filter(Boolean);
      if (records.length) take(records);
    }
  }
}

/** The record in one server-sent event; null for a ping. */
function eventData(block) {
  const data = block
    .split("\n")
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(5).trimStart());
  return data.length ? JSON.parse(data.join("\n")) : null;
}
