// Family of somebody: people of one kind, found by name and put beside their record.
import { NoAnswer, Problem } from "../../lib/api.js";
import { fill, h, icon } from "../../lib/dom.js";
import { errorNote } from "../../lib/say.js";
import { KNOWN, t } from "./directory_words.js";
import { nameOf, numberOf } from "./persons.js";

const TYPING_MS = 300;
const SHOWN_MAX = 6;
const PAGES_MAX = 4; // a page may be empty and not the last

export class Picker {
  /** `role`: whom is looked for; `chosen`: who is there already, people of the API; `unread`: ids of others, who stay. */
  constructor(api, id, label, role, { chosen, unread, exceptId }) {
    this.api = api;
    this.role = role;
    this.exceptId = exceptId;
    this.unread = unread;
    this.chosen = new Map(chosen.map((one) => [one.id, one]));
    this.input = h("input", { class: "input", id, type: "search", autocomplete: "off", maxlength: 100, placeholder: t("find_person"), "aria-describedby": `${id}-wrong`, onInput: () => this.#typed(), onKeydown: (event) => event.key === "Enter" && event.preventDefault() });
    this.wrongPlace = h("p", { class: "wrong", id: `${id}-wrong` });
    this.chips = h("ul", { class: "row" });
    this.status = h("p", { class: "small soft", role: "status" });
    this.results = h("div", {});
    this.element = h("div", { class: "field" }, h("label", { for: id }, label), this.chips, this.input, this.wrongPlace, this.status, this.results);
    this.#showChosen();
  }

  get ids() {
    return [...this.chosen.keys(), ...this.unread];
  }

  wrong(words) {
    fill(this.wrongPlace, words && [icon("warning"), ` ${words}`]);
    if (words) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
  }

  stop() {
    clearTimeout(this.timer);
    this.asked?.abort();
  }

  #typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#find(), TYPING_MS);
  }

  async #find() {
    this.asked?.abort();
    const { signal } = (this.asked = new AbortController());
    const q = this.input.value.trim();
    this.status.textContent = "";
    if (q.length < 2 || !/\p{L}/u.test(q)) return fill(this.results);
    try {
      let page = { people: [], next: null };
      for (let pages = 0; pages < PAGES_MAX && page.people.length === 0 && (pages === 0 || page.next); pages += 1) {
        page = await this.api.get("/people", { q, role: this.role, cursor: page.next }, { signal });
      }
      const found = page.people.filter((one) => one.id !== this.exceptId && !this.chosen.has(one.id));
      const shown = found.slice(0, SHOWN_MAX);
      this.status.textContent = shown.length === 0 ? t("found_none") : shown.length < found.length || page.next ? t("found_more") : t("found", shown.length);
      fill(this.results, shown.length > 0 && h("ul", { class: "found" }, shown.map((one) => this.#found(one))));
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
      fill(this.results, errorNote(error, { known: KNOWN, retry: () => this.#find() }));
    }
  }

  #found(one) {
    const add = () => {
      this.chosen.set(one.id, one);
      this.input.value = "";
      this.status.textContent = "";
      fill(this.results);
      this.wrong("");
      this.#showChosen();
      this.input.focus(); // the button is gone
    };
    return h("li", {}, h("div", { class: "person" }, h("span", { class: "name" }, nameOf(one)), h("span", { class: "small" }, numberOf(one))), h("button", { type: "button", class: "button", "aria-label": t("put_name", nameOf(one)), onClick: add }, icon("plus"), t("put")));
  }

  #showChosen() {
    const take = (one) => {
      this.chosen.delete(one.id);
      this.wrong("");
      this.#showChosen();
      this.input.focus();
    };
    this.chips.hidden = this.chosen.size === 0;
    fill(this.chips, [...this.chosen.values()].map((one) => h("li", { class: "chip" }, h("span", {}, nameOf(one)), h("button", { type: "button", class: "button plain", "aria-label": t("take", nameOf(one)), onClick: () => take(one) }, icon("close")))));
  }
}
