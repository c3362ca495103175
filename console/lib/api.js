// The public API, and nothing but it. An answer is data, a Problem (the API said no, and why) or NoAnswer (nobody knows).

const SECONDS_MAX = 35; // API Gateway gives up after 29

/** The API refused: RFC 9457, with recado's stable `code` and the fields that are wrong. */
export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body.code ?? `http_${status}`);
    this.status = status;
    this.code = body.code ?? `http_${status}`;
    this.title = body.title ?? "";
    this.detail = body.detail ?? "";
    this.fields = body.errors ?? [];
    this.body = body;
    this.retryAfterSeconds = retryAfter === null ? null : Number(retryAfter);
  }
}

/** No answer came: what was asked may have been done. Ask again with the same Idempotency-Key. */
export class NoAnswer extends Error {}

/** A key that stays the same while the same thing is asked, so that a request sent twice is done once. */
export class OnceKey {
  #asked = null;
  #key = null;

  /** The key for this request: the one of before if it asks the same, else a new one. */
  of(asked) {
    const text = JSON.stringify(asked);
    if (text !== this.#asked) {
      this.#asked = text;
      this.#key = newKey();
    }
    return this.#key;
  }

  /** It was done: the next request is another one, even if it asks the same. */
  done() {
    this.#asked = null;
  }
}

export class Api {
  #token;
  #renew;
  #heard;

  /**
   * `token`: text or null; `renew`: asked once when the API does not accept it (any more), answers another or null; `heard`: told of
   * every answer, for its headers (the server's clock, how soon to ask again).
   */
  constructor({ token = null, renew = null, heard = null } = {}) {
    this.#token = token;
    this.#renew = renew;
    this.#heard = heard;
  }

  get(path, query = {}, { signal } = {}) {
    const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== ""));
    return this.#ask("GET", asked.size ? `${path}?${asked}` : path, { signal });
  }

  /** `key`: of a OnceKey; where the API needs none it does no harm. `outlives`: it goes out even if the page is left just now. */
  send(method, path, body, { key, signal, outlives } = {}) {
    return this.#ask(method, path, { body, key, signal, outlives });
  }

  /** A file of the API, as a Blob with its name, and the address of what follows it, if anything does. */
  async file(path, query = {}) {
    const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== ""));
    const answer = await this.#answer("GET", asked.size ? `${path}?${asked}` : path, {});
    const next = /<([^>]+)>;\s*rel="next"/.exec(answer.headers.get("Link") ?? "");
    return { blob: await answer.blob(), next: next ? next[1] : null };
  }

  async #ask(method, path, options) {
    const answer = await this.#answer(method, path, options);
    if (answer.status === 204) return null;
    try {
      return await answer.json();
    } catch {
      throw new NoAnswer("not_json"); // broken off half-way
    }
  }

  async #answer(method, path, options) {
    let answer = await this.#once(method, path, options);
    if (answer.status === 401 && this.#renew) {
      const token = await this.#renew();
      if (token) {
        this.#token = token;
        answer = await this.#once(method, path, options);
      }
    }
    if (answer.ok) return answer;
    let problem = {};
    try {
      problem = await answer.json();
    } catch {
      // Not ours: the status says all there is.
    }
    throw new Problem(answer.status, problem, answer.headers.get("Retry-After"));
  }

  async #once(method, path, { body, key, signal, outlives = false }) {
    const headers = {};
    if (this.#token) headers.Authorization = `Bearer ${this.#token}`;
    if (key) headers["Idempotency-Key"] = key;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const limit = AbortSignal.timeout(SECONDS_MAX * 1000);
    try {
      const answer = await fetch(`/v1${path}`, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, limit]) : limit,
        redirect: "error",
        credentials: "omit",
        cache: "no-store",
        keepalive: outlives,
      });
      this.#heard?.(answer);
      return answer;
    } catch (error) {
      if (signal?.aborted) throw error; // the page itself does not want it any more
      throw new NoAnswer(error.name);
    }
  }
}

/** 144 bits nobody can guess, as letters that every header takes. */
export function newKey() {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(18)))).replaceAll("+", "-").replaceAll("/", "_");
}
