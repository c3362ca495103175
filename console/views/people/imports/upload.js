// The upload of a roster. It goes on whatever section is looked at, as long as the page is open; its files stay in memory
// until they have arrived, so that what was lost on the way is sent again without choosing them again.
import { NoAnswer, OnceKey } from "../../../lib/api.js";

const STALLED_MS = 60_000; // without a byte getting through
const MAY_END_MS = 16 * 60_000; // the address holds for 15 minutes
const running = new Map();

/** The upload of this import that goes on in this window, or undefined. */
export const uploadOf = (id) => running.get(id);

/** The storage said no: an address whose time is over is 403. */
export class NotStored extends Error {
  constructor(status) {
    super(`stored_${status}`);
    this.status = status;
  }
}

/** Its time is over: another import has to be begun. */
export class Expired extends Error {}

export class Upload extends EventTarget {
  #api;
  #files;
  #key = new OnceKey();
  #arrived = new Map(); // name → bytes, for this import
  #request = null;
  #current = null;
  #sent = 0;

  /** `files`: File by the name that it has in the roster. */
  constructor(api, files) {
    super();
    this.#api = api;
    this.#files = files;
    this.id = null;
    this.state = "new"; // sending, arrived, failed, cancelled
    this.error = null;
    this.arrivedAt = null;
    this.leftOut = []; // names of files that are never read
    this.warn = (event) => event.preventDefault();
  }

  get total() {
    return Object.values(this.#files).reduce((sum, file) => sum + file.size, 0);
  }

  get sent() {
    return [...this.#arrived.values()].reduce((sum, bytes) => sum + bytes, this.#sent);
  }

  /** What people call that which is on its way. */
  get name() {
    return (this.#files[this.#current] ?? Object.values(this.#files)[0]).name;
  }

  /** Begins the import: asked again it is the same one, until `anew`. Raises what the API says. */
  async begin() {
    const body = { files: Object.keys(this.#files) };
    const begun = await this.#api.send("POST", "/imports", body, { key: this.#key.of(body) });
    this.id = begun.id;
    running.set(begun.id, this);
    return begun;
  }

  /** Another import with the same files, once the time of the one before is over; asked again it is the same other one. */
  async anew() {
    if (this.id !== null) {
      running.delete(this.id);
      this.id = null;
      this.state = "new";
      this.#key.done();
      this.#arrived.clear();
    }
    return this.begin();
  }

  /** Sends what is not there yet; how it went is in `state` and `error`. */
  async send(begun) {
    if (this.state === "sending" || this.state === "arrived") return;
    this.#become("sending");
    addEventListener("beforeunload", this.warn);
    try {
      await this.#sendAll(begun ?? (await this.begin()));
      if (this.state === "sending") this.#become("arrived");
    } catch (error) {
      if (this.state === "sending") this.#become("failed", error);
    } finally {
      removeEventListener("beforeunload", this.warn);
    }
  }

  cancel() {
    this.#become("cancelled");
    this.#request?.abort();
    this.forget();
  }

  /** The API does not find these files: they are to be sent again. */
  miss(names) {
    for (const name of names) this.#arrived.delete(name);
    this.#become("failed", new NoAnswer("missing"));
  }

  /** It is not needed any more: its files go out of memory. */
  forget() {
    running.delete(this.id);
  }

  async #sendAll(begun) {
    if (begun.state === "refused") throw new Expired();
    if (begun.state !== "waiting_for_upload") return; // they had arrived, and only the word of it was lost
    if (begun.uploads.length === 0 && Date.now() >= Date.parse(begun.upload_until)) throw new Expired();
    const wanted = new Set(begun.uploads.map(({ file }) => file));
    for (const [name, file] of Object.entries(this.#files)) if (!wanted.has(name)) this.#arrived.set(name, file.size);
    const left = begun.uploads.filter(({ file }) => !this.#arrived.has(file));
    for (const { file, url } of left) {
      if (this.state !== "sending") return;
      this.#current = file;
      await this.#put(url, this.#files[file]);
      this.#sent = 0;
      this.#arrived.set(file, this.#files[file].size);
      this.#say();
    }
  }

  /** fetch() says nothing of how far it is. */
  #put(url, file) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.#request = request;
      let stalled = null;
      const lost = () => {
        clearTimeout(stalled);
        this.#sent = 0;
        reject(new NoAnswer("upload"));
      };
      const wait = () => {
        clearTimeout(stalled);
        stalled = setTimeout(() => request.abort(), STALLED_MS);
      };
      request.upload.addEventListener("progress", (event) => {
        wait();
        this.#sent = Math.min(event.loaded, file.size);
        this.#say();
      });
      request.addEventListener("load", () => {
        clearTimeout(stalled);
        if (request.status >= 200 && request.status < 300) return resolve();
        this.#sent = 0;
        return reject(new NotStored(request.status));
      });
      for (const name of ["error", "abort", "timeout"]) request.addEventListener(name, lost);
      request.open("PUT", url);
      request.timeout = MAY_END_MS;
      wait();
      // Without its type: the address is signed for no header but the host.
      request.send(file.slice(0, file.size, ""));
    });
  }

  #become(state, error = null) {
    this.state = state;
    this.error = error;
    if (state === "arrived") this.arrivedAt = Date.now();
    this.#say();
  }

  #say() {
    this.dispatchEvent(new Event("change"));
  }
}
