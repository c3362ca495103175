// The recipients of a message, read page by page, with a bound; each page once.

const PAGE = 100;
export const LINES_MAX = 2000;
const ROUNDS_MAX = 40; // a page may be short although there are more

export class Lines {
  #path;
  #language;

  constructor(api, messageId, language) {
    this.api = api;
    this.#path = `/messages/${encodeURIComponent(messageId)}/recipients`;
    this.#language = language;
    this.clear(null);
  }

  /** From the beginning, only those in this state (null: all). */
  clear(state) {
    this.state = state;
    this.found = [];
    this.next = null;
    this.isBegun = false;
  }

  get hasMore() {
    return !this.isBegun || this.next !== null;
  }

  /** At least `count` more of them, if there are so many. */
  async more(count, { signal, onPage = () => {} } = {}) {
    const wanted = Math.min(this.found.length + count, LINES_MAX);
    for (let round = 0; round < ROUNDS_MAX && this.hasMore && this.found.length < wanted; round += 1) {
      const limit = Math.min(PAGE, wanted - this.found.length);
      const answer = await this.api.get(this.#path, { state: this.state, limit, cursor: this.next, lang: this.#language }, { signal });
      this.found.push(...answer.recipients);
      this.next = answer.next;
      this.isBegun = true;
      onPage(this.found.length);
    }
    return this.found;
  }
}
