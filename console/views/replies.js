// What families answered, newest first, with whose number it is.
import { NoAnswer, Problem } from "../lib/api.js";
import { fill, h, icon } from "../lib/dom.js";
import { moment, phone } from "../lib/format.js";
import { actionButton, errorNote } from "../lib/say.js";
import { each, Poll } from "./messages/poll.js";
import { wordTag } from "./messages/reply.js";
import { t } from "./messages/words.js";

const PAGE = 30;
const LOOK_MS = 5_000;
const CATCH_UP_PAGES_MAX = 3;
const PEOPLE_SHOWN_MAX = 3;

class RecadoReplies extends HTMLElement {
  connectedCallback() {
    this.replies = new Map();
    this.items = new Map();
    this.names = new Map(); // number → words, or a promise of them
    this.next = undefined;
    this.list = h("ul", { class: "stack" });
    this.place = h("div", { class: "stack" });
    this.status = h("p", { class: "small soft list-status", role: "status" });
    this.moreButton = actionButton(t("more"), () => this.#more());
    this.moreButton.hidden = true;
    this.poll = new Poll((signal) => this.#turn(signal), (error) => (this.status.textContent = error ? t("not_renewed") : ""));
    this.className = "stack view";
    this.append(h("h1", {}, t("replies")), this.status, this.place, h("div", { class: "row" }, this.moreButton));
    this.begin();
  }

  disconnectedCallback() {
    this.poll.stop();
  }

  async begin() {
    this.place.setAttribute("aria-busy", "true");
    try {
      const { id, time_zone: timeZone } = await this.context.api.get("/school");
      this.timeZone = timeZone;
      this.school = id;
      await this.#page(null);
    } catch (error) {
      fill(this.place, errorNote(error, { retry: () => this.begin() }));
      return;
    } finally {
      this.place.removeAttribute("aria-busy");
    }
    if (!this.isConnected) return;
    this.#arrange();
    this.poll.start(LOOK_MS);
  }

  /** Reads a page; says whether something of it was known, and its cursor. */
  async #page(before, signal) {
    const answer = await this.context.api.get("/replies", { limit: PAGE, before }, { signal });
    const isMet = answer.replies.some((one) => this.replies.has(one.id));
    for (const one of answer.replies) this.replies.set(one.id, one);
    if (this.next === undefined || before === this.next) this.next = answer.next;
    return { isMet, next: answer.next };
  }

  async #turn(signal) {
    const count = this.replies.size;
    const isFirst = count === 0;
    let page = await this.#page(null, signal);
    // More than a page came since: on until what is known, or the rest stays for "see more".
    for (let round = 1; !page.isMet && page.next && !isFirst && round < CATCH_UP_PAGES_MAX; round += 1) page = await this.#page(page.next, signal);
    if (!page.isMet && page.next && !isFirst) this.#forgetOlder(page.next);
    const added = this.replies.size - count;
    this.#arrange();
    this.status.textContent = added > 0 ? t("new_replies", added) : "";
    return LOOK_MS;
  }

  /** So many came that there is a gap: what is older than it is read again by "see more". */
  #forgetOlder(next) {
    const newest = [...this.replies.values()].sort(newestFirst).slice(0, PAGE * CATCH_UP_PAGES_MAX);
    this.replies = new Map(newest.map((one) => [one.id, one]));
    this.next = next;
  }

  async #more() {
    const known = new Set(this.replies.keys());
    this.trouble?.remove();
    try {
      await this.#page(this.next);
    } catch (error) {
      if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
      this.trouble = errorNote(error);
      this.moreButton.before(this.trouble);
      return;
    }
    this.#arrange();
    const first = [...this.replies.values()].sort(newestFirst).find((one) => !known.has(one.id));
    if (first) this.items.get(first.id).focus();
  }

  #arrange() {
    const sorted = [...this.replies.values()].sort(newestFirst);
    if (!sorted.length) fill(this.place, h("div", { class: "empty panel" }, icon("replies"), h("p", {}, t("no_replies"))));
    else if (this.list.parentNode !== this.place) fill(this.place, this.list);
    const elements = sorted.map((one) => this.items.get(one.id) ?? this.#item(one));
    for (const one of [...this.list.children]) if (!elements.includes(one)) one.remove();
    elements.forEach((element, index) => {
      if (this.list.children[index] !== element) this.list.insertBefore(element, this.list.children[index] ?? null);
    });
    this.moreButton.hidden = !this.next;
    this.#readNames(sorted);
  }

  #item(reply) {
    const who = h("strong", { class: "reply-who", "data-number": reply.number }, this.#said(reply.number) ?? " ");
    const item = h(
      "li",
      { class: "panel stack reply-card", tabindex: "-1" },
      h("div", { class: "row apart" }, who, h("span", { class: "small soft" }, moment(reply.received_at, this.timeZone))),
      h("p", { class: "text" }, reply.text),
      wordTag(reply),
      h("p", { class: "small soft tabular" }, `${phone(reply.number)} ${t("on_code", reply.code)}`),
    );
    this.items.set(reply.id, item);
    return item;
  }

  #said(number) {
    const found = this.names.get(number);
    return typeof found === "string" ? found : undefined;
  }

  /** Whose numbers these are, by the search of people; each number once. */
  async #readNames(replies) {
    const wanted = [...new Set(replies.map((one) => one.number))].filter((number) => !this.names.has(number));
    for (const number of wanted) this.names.set(number, null);
    await each(wanted, async (number) => {
      if (!this.isConnected) return this.names.delete(number);
      let words;
      try {
        const { people } = await this.context.api.get("/people", { q: number });
        const names = people.filter((one) => one.number === number).map((one) => `${one.given_name} ${one.family_name}`);
        words = names.length ? names.slice(0, PEOPLE_SHOWN_MAX).join(", ") + (names.length > PEOPLE_SHOWN_MAX ? "…" : "") : t("nobody_known");
        this.names.set(number, words);
      } catch (error) {
        if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
        words = t("name_unread");
        this.names.delete(number); // asked again at the next turn
      }
      for (const who of this.list.querySelectorAll(`[data-number="${CSS.escape(number)}"]`)) who.textContent = words;
    });
  }
}

const newestFirst = (one, other) => Date.parse(other.received_at) - Date.parse(one.received_at) || (one.id < other.id ? 1 : -1);

customElements.define("recado-replies", RecadoReplies);
