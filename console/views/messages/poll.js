// Asks again and again, but only while the page is looked at; slower after errors, and when the API says so.
import { NoAnswer, Problem } from "../../lib/api.js";

const ERROR_FIRST_MS = 4_000;
const ERROR_MOST_MS = 60_000;
const RETRY_AFTER_MOST_SECONDS = 300;

export class Poll {
  #ask;
  #onError;
  #timer = null;
  #errors = 0;
  #isOn = false;
  #isAsking = false;
  #dueAt = 0;
  #abort = null;

  /** `ask(signal)` answers in how many milliseconds to ask again, or null: there is nothing more to come. `onError(error or null)`. */
  constructor(ask, onError = () => {}) {
    this.#ask = ask;
    this.#onError = onError;
    this.seen = () => this.#look();
  }

  /** The first time after `waitMs`. */
  start(waitMs = 0) {
    if (!this.#isOn) document.addEventListener("visibilitychange", this.seen);
    this.#isOn = true;
    this.#wait(waitMs);
  }

  stop() {
    this.#isOn = false;
    clearTimeout(this.#timer);
    this.#abort?.abort();
    document.removeEventListener("visibilitychange", this.seen);
  }

  #wait(ms) {
    clearTimeout(this.#timer);
    this.#dueAt = Date.now() + ms;
    this.#timer = setTimeout(() => this.#look(), ms);
  }

  async #look() {
    if (!this.#isOn || this.#isAsking || document.hidden) return;
    if (Date.now() < this.#dueAt - 5) return; // looked at again before its time: the timer still runs
    this.#isAsking = true;
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    try {
      const wait = await this.#ask(signal);
      if (!this.#isOn) return;
      if (this.#errors) this.#onError(null);
      this.#errors = 0;
      if (wait === null) this.stop();
      else this.#wait(wait);
    } catch (error) {
      if (!this.#isOn || signal.aborted) return;
      if (!(error instanceof NoAnswer || error instanceof Problem)) throw error;
      this.#errors += 1;
      this.#onError(error);
      const backOff = Math.min(ERROR_MOST_MS, ERROR_FIRST_MS * 2 ** (this.#errors - 1));
      const asked = error instanceof Problem && error.retryAfterSeconds > 0 ? Math.min(error.retryAfterSeconds, RETRY_AFTER_MOST_SECONDS) * 1000 : 0;
      this.#wait(Math.max(backOff, asked));
    } finally {
      this.#isAsking = false;
    }
  }
}

/** Does `act` for each of these, so many at a time; stops taking new ones when the signal says so. */
export async function each(items, act, { atOnce = 3, signal } = {}) {
  const left = [...items];
  const worker = async () => {
    while (left.length && !signal?.aborted) await act(left.shift());
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, left.length) }, worker));
}
