// Saving and sending. The same request is sent with the same key until its answer is known; what nobody knows is asked again exactly as it was.
import { NoAnswer, OnceKey } from "../../lib/api.js";

/** Whether the API may have done what was asked although it did not say so. */
const isUnknown = (error) => error instanceof NoAnswer || error.status >= 500 || error.code === "still_running";

export class Sender {
  #createKey = new OnceKey();
  #editKey = new OnceKey();
  #sendKey = new OnceKey();

  /** `message`: a draft or a scheduled one of the API, or null; `content`: what it says, as this page would say it. */
  constructor(api, message = null, content = null) {
    this.api = api;
    this.pending = null; // a sending of which nobody knows whether it was done
    this.draft = null;
    if (message) this.adopt(message, content);
  }

  adopt(message, content) {
    this.draft = { id: message.id, revision: message.revision, state: message.state, at: message.send_at_local?.slice(0, 16) ?? "", saved: JSON.stringify(content) };
  }

  isSaved(content) {
    return this.draft !== null && this.draft.saved === JSON.stringify(content);
  }

  /** Keeps it as a draft, or changes what is kept; nothing is asked if it says that already. */
  async save(content) {
    if (this.isSaved(content)) return this.draft;
    let message;
    if (this.draft === null) {
      message = await this.api.send("POST", "/messages", content, { key: this.#createKey.of(content) });
      this.#createKey.done();
    } else {
      const body = { ...content, revision: this.draft.revision };
      message = await this.api.send("PUT", `/messages/${this.draft.id}`, body, { key: this.#editKey.of([this.draft.id, body]) });
      this.#editKey.done();
    }
    this.adopt(message, content);
    return message;
  }

  /** Sends it, now or at `at`, as it was shown (`digest`). `isFixed`: nothing of the draft is changed before. */
  async send(content, { digest, at, despite, isFixed }) {
    const time = at ? { at } : {};
    if (this.draft === null) {
      return this.#ask("POST", "/messages", { ...content, send: at ? time : "now", digest, despite_quiet_hours: despite });
    }
    const saved = isFixed ? this.draft : await this.save(content);
    if (saved.state === "scheduled") {
      if (at.slice(0, 16) === this.draft.at) return saved;
      return this.#ask("POST", `/messages/${this.draft.id}/schedule`, { ...time, despite_quiet_hours: despite });
    }
    return this.#ask("POST", `/messages/${this.draft.id}/${at ? "schedule" : "send"}`, { ...time, digest, despite_quiet_hours: despite });
  }

  /** The sending whose end is not known, again: exactly that one. */
  again() {
    return this.#ask(...this.pending);
  }

  async #ask(method, path, body) {
    try {
      const message = await this.api.send(method, path, body, { key: this.#sendKey.of([path, body]) });
      this.pending = null;
      this.#sendKey.done();
      return message;
    } catch (error) {
      if (isUnknown(error)) this.pending = [method, path, body];
      // Too many requests says nothing of the one before, which may have been done.
      else if (error.status !== 429 && error.status !== 401) this.pending = null;
      throw error;
    }
  }
}
