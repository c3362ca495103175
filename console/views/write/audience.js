// Who receives it (L3): kinds of people, groups as a tree, people by search, and whoever is left out. What it comes to stands in a sentence.
import { fill, h, icon } from "../../lib/dom.js";
import { phone } from "../../lib/format.js";
import { errorNote, redNumber } from "../../lib/say.js";
import { WHO } from "./state.js";
import { chosenNames, GroupTree } from "./tree.js";
import { t } from "./words.js";

const WAIT_MS = 300;
const PAGES_MAX = 4; // a page of a search may be empty and not the last

export class AudiencePicker {
  /** `groups`: of the API; `onChange`: something of the state's audience is another. */
  constructor(api, groups, state, onChange) {
    this.api = api;
    this.state = state;
    this.onChange = () => {
      this.update();
      onChange();
    };
    this.tree = new GroupTree(groups, state, this.onChange);
    this.sentence = h("p", { class: "sentence", id: "audience-sentence", role: "status" });
    this.chips = h("div", { class: "stack chips" });
    this.results = h("div", { class: "stack" });
    this.element = h("section", { class: "panel stack", "aria-labelledby": "who-title" }, h("h2", { id: "who-title" }, t("who_title")), this.sentence, this.#who(), this.tree.element, this.#minusGroup(), this.#search(), this.chips);
    this.update();
  }

  update() {
    this.tree.update();
    const said = this.#sentence();
    if (this.sentence.textContent !== said) this.sentence.textContent = said;
    fill(this.chips, this.#chips(t("added"), this.state.people, false), this.#chips(t("left_out"), this.#left(), true));
  }

  stop() {
    clearTimeout(this.timer);
    this.asked?.abort();
  }

  #who() {
    const boxes = WHO.map((one) => {
      const box = h("input", { type: "checkbox", checked: this.state.who.has(one) });
      box.addEventListener("change", () => {
        if (box.checked) this.state.who.add(one);
        else this.state.who.delete(one);
        this.onChange();
      });
      return h("label", { class: "check" }, box, t(one));
    });
    return h("fieldset", { class: "plain-set" }, h("legend", {}, t("who")), h("div", { class: "row wide-gap" }, boxes));
  }

  #minusGroup() {
    const groups = [...this.tree.byId.values()].filter((group) => group.kind !== "school");
    if (groups.length === 0) return null;
    const select = h(
      "select",
      { class: "input", id: "minus-group" },
      h("option", { value: "" }, t("minus_choose")),
      groups.map((group) => h("option", { value: group.id }, group.name)),
    );
    const add = h("button", { type: "button", class: "button" }, t("minus_add"));
    add.addEventListener("click", () => {
      if (!select.value) return;
      this.state.minusGroups.add(select.value);
      select.value = "";
      this.onChange();
    });
    return h("details", {}, h("summary", { class: "opening" }, t("minus_group")), h("div", { class: "field" }, h("label", { for: "minus-group", class: "heard" }, t("minus_group")), h("div", { class: "with-button" }, select, add)));
  }

  #search() {
    const input = h("input", { class: "input", type: "search", id: "person-search", autocomplete: "off", "aria-describedby": "person-hint", maxlength: 100 });
    input.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.#find(input.value.trim()), WAIT_MS);
    });
    return h(
      "div",
      { class: "field" },
      h("label", { for: "person-search" }, t("person_search")),
      h("div", { class: "hint", id: "person-hint" }, t("person_hint")),
      input,
      this.results,
    );
  }

  async #find(query) {
    this.asked?.abort();
    const isNumber = !/\p{L}/u.test(query);
    if (query.length < 2 || (isNumber && query.replaceAll(/\D/g, "").length < 3)) {
      fill(this.results);
      return;
    }
    this.asked = new AbortController();
    const { signal } = this.asked;
    this.results.setAttribute("aria-busy", "true");
    try {
      let page = { people: [], next: null };
      for (let pages = 0; pages < PAGES_MAX && page.people.length === 0 && (pages === 0 || page.next); pages += 1) {
        page = await this.api.get("/people", { q: query, cursor: page.next }, { signal });
      }
      this.#show(page);
    } catch (error) {
      if (signal.aborted) return;
      fill(this.results, errorNote(error, { retry: () => this.#find(query) }));
    } finally {
      if (!signal.aborted) this.results.removeAttribute("aria-busy");
    }
  }

  #show({ people, next }) {
    const shown = people.slice(0, 8);
    const said = shown.length === 0 ? t("person_none") : people.length > shown.length || next ? t("person_more") : t("person_found", shown.length);
    fill(this.results, h("p", { class: "small soft", role: "status" }, said), shown.length > 0 && h("ul", { class: "found" }, shown.map((one) => this.#found(one))));
  }

  #found(person) {
    const one = known(person);
    const button = (label, words, place, other) => {
      const made = h("button", { type: "button", class: "button", "aria-label": words, "aria-pressed": String(place.has(one.id)) }, label);
      made.addEventListener("click", () => {
        other.delete(one.id);
        if (place.has(one.id)) place.delete(one.id);
        else place.set(one.id, one);
        for (const [which, where] of [[add, this.state.people], [leave, this.state.minusPeople]]) which.setAttribute("aria-pressed", String(where.has(one.id)));
        this.onChange();
      });
      return made;
    };
    const add = button(t("person_add"), t("person_add_name", one.name), this.state.people, this.state.minusPeople);
    const leave = button(t("person_leave"), t("person_leave_name", one.name), this.state.minusPeople, this.state.people);
    add.disabled = one.hasLeft;
    return h(
      "li",
      {},
      h("div", { class: "person" }, h("span", { class: "name" }, one.name), h("span", { class: "small soft" }, one.hasLeft ? t("person_left") : t(`role_${one.role}`)), numberOf(one)),
      h("div", { class: "row" }, add, leave),
    );
  }

  #left() {
    const groups = [...this.state.minusGroups].map((id) => [id, { id, name: this.tree.byId.get(id)?.name ?? id, isGroup: true }]);
    return new Map([...this.state.minusPeople, ...groups]);
  }

  #chips(title, people, isLeft) {
    if (people.size === 0) return null;
    const chip = (one) => {
      const take = h("button", { type: "button", class: "button plain", "aria-label": t("remove", one.name) }, icon("close"));
      take.addEventListener("click", () => {
        if (one.isGroup) this.state.minusGroups.delete(one.id);
        else (isLeft ? this.state.minusPeople : this.state.people).delete(one.id);
        this.onChange();
        this.element.querySelector("#person-search").focus(); // the button is gone
      });
      return h("li", { class: "chip" }, h("span", {}, one.name), !isLeft && one.optedOut && numberOf(one), take);
    };
    return h("div", {}, h("h3", { class: "small soft" }, title), h("ul", { class: "row" }, [...people.values()].map(chip)));
  }

  #sentence() {
    const { state } = this;
    const parts = [];
    const kinds = WHO.filter((one) => state.who.has(one)).map((one) => t(one));
    if (kinds.length && (state.whole || state.groups.size)) {
      parts.push(t("sum_of", list(kinds), state.whole ? t("sum_whole") : list(chosenNames(this.tree, state.groups))));
    }
    if (state.people.size) parts.push(t(parts.length ? "sum_plus" : "sum_people", state.people.size));
    if (parts.length === 0) return t("sum_nobody");
    const minus = [...chosenNames(this.tree, state.minusGroups), ...(state.minusPeople.size ? [t("sum_minus_people", state.minusPeople.size)] : [])];
    if (minus.length) parts.push(t("sum_minus", list(minus)));
    return `${parts.join(", ")}.`;
  }
}

/** What a person of the directory is to this page. */
export function known(person) {
  return {
    id: person.id,
    name: `${person.given_name} ${person.family_name}`,
    role: person.role,
    number: person.number,
    typed: person.typed_number,
    optedOut: person.opted_out,
    hasLeft: person.left_at !== null,
  };
}

/** L9: the number of whoever opted out is red, with an icon and the words beside it. */
export function numberOf({ number, typed, optedOut }) {
  const said = number ? phone(number) : typed;
  if (optedOut) return redNumber(said, t("no_sms"));
  return said ? h("span", { class: "small tabular" }, said) : h("span", { class: "small skipped" }, t("no_sms_number"));
}

const list = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} ${t("and")} ${names.at(-1)}`);
