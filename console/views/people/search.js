// The people of a school: everybody, or whom one looks for by name, number, course and kind. What is looked for stays in memory only.
import { NoAnswer, Problem } from "../../lib/api.js";
import { fill, h, icon } from "../../lib/dom.js";
import { errorNote, moreOf } from "../../lib/say.js";
import { KNOWN, t } from "./directory_words.js";
import { addressOf, Groups, nameOf, numberOf, ROLES } from "./persons.js";

const TYPING_MS = 300;
const PAGES_MAX = 5; // a page may be empty and not the last

let lastLooked = { q: "", group: "", role: "" }; // back from a record, the list is the one that was left

export class Search {
  constructor(context) {
    this.context = context;
    this.api = context.api;
    this.q = h("input", { class: "input", id: "people-q", type: "search", autocomplete: "off", spellcheck: "false", maxlength: 100, value: lastLooked.q, "aria-describedby": "people-q-hint", onInput: () => this.#typed() });
    this.group = h("select", { class: "input", id: "people-group", onChange: () => this.#look() }, h("option", { value: "" }, t("all_groups")));
    this.role = h("select", { class: "input", id: "people-role", onChange: () => this.#look() }, h("option", { value: "" }, t("all_roles")), ROLES.map((one) => h("option", { value: one }, t(one))));
    this.role.value = lastLooked.role;
    this.status = h("p", { class: "soft small people-status", role: "status" });
    this.place = h("div", { class: "stack people-found" });
    this.dialogs = h("div", { class: "people-said" });
    this.addButton = h("button", { type: "button", class: "button main", disabled: true, onClick: () => this.#add() }, icon("plus"), t("add"));
    this.element = h(
      "div",
      { class: "stack" },
      h(
        "div",
        { class: "row apart" },
        h("h1", {}, t("title")),
        h("div", { class: "row" }, h("a", { class: "button", href: "#/people/unreachable" }, icon("phone"), t("to_unreachable")), h("a", { class: "button", href: "#/people/imports" }, icon("upload"), t("to_imports")), this.addButton),
      ),
      h(
        "form",
        { class: "panel people-form", role: "search", onSubmit: (event) => this.#submitted(event) },
        h("div", { class: "field people-q" }, h("label", { for: "people-q" }, t("search")), this.q, h("div", { class: "hint", id: "people-q-hint" }, t("search_hint"))),
        h("div", { class: "field" }, h("label", { for: "people-group" }, t("group")), this.group),
        h("div", { class: "field" }, h("label", { for: "people-role" }, t("role")), this.role),
      ),
      h("section", { class: "panel stack", "aria-label": t("title") }, this.status, this.place),
      this.dialogs,
    );
  }

  async begin() {
    const { signal } = (this.reading = new AbortController());
    this.place.setAttribute("aria-busy", "true");
    this.status.textContent = t("searching");
    try {
      this.groups = await Groups.read(this.api, signal);
    } catch (error) {
      if (!signal.aborted) this.#failed(error, () => this.begin());
      return;
    }
    this.addButton.disabled = false; // who is added is put into these
    fill(this.group, this.groups.options());
    this.group.value = this.groups.byId.has(lastLooked.group) ? lastLooked.group : "";
    await this.#look();
  }

  stop() {
    clearTimeout(this.timer);
    this.reading?.abort();
    this.asked?.abort();
  }

  #typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#look(), TYPING_MS);
  }

  #submitted(event) {
    event.preventDefault();
    return this.#look();
  }

  async #look() {
    clearTimeout(this.timer);
    if (!this.groups) return;
    this.asked?.abort();
    const { signal } = (this.asked = new AbortController());
    const looked = { q: this.q.value.trim(), group: this.group.value, role: this.role.value };
    lastLooked = looked;
    if (isShort(looked.q)) {
      this.place.removeAttribute("aria-busy");
      this.status.textContent = t("search_short");
      fill(this.place);
      return;
    }
    this.place.setAttribute("aria-busy", "true");
    this.status.textContent = t("searching");
    try {
      const page = await this.#page(looked, null, signal);
      this.#show(looked, page);
    } catch (error) {
      if (signal.aborted) return;
      this.#failed(error, () => this.#look());
    } finally {
      if (!signal.aborted) this.place.removeAttribute("aria-busy");
    }
  }

  /** The first page from here on that has somebody. */
  async #page(looked, cursor, signal) {
    let page = { people: [], next: cursor };
    for (let pages = 0; pages < PAGES_MAX && page.people.length === 0 && (pages === 0 || page.next); pages += 1) {
      page = await this.api.get("/people", { ...looked, cursor: page.next }, { signal });
    }
    return page;
  }

  #show(looked, page) {
    const body = h("tbody", {});
    const put = (found) => {
      const rows = found.people.map((person) => this.#row(person));
      body.append(...rows);
      if (page === found || body.isConnected) this.status.textContent = t(found.next ? "shown_so_far" : "shown", body.childElementCount);
      return rows;
    };
    put(page);
    if (page.people.length === 0 && !page.next) {
      const isAll = !looked.q && !looked.group && !looked.role;
      fill(this.place, h("p", { class: "empty" }, t(isAll ? "nobody" : "nobody_found")));
      return;
    }
    const table = h(
      "table",
      { class: "table cards people-table" },
      h("caption", { class: "heard" }, t("title")),
      h("thead", {}, h("tr", {}, ["name", "role", "groups", "sms_number"].map((name) => h("th", { scope: "col" }, t(name))))),
      body,
    );
    // The button is gone once it was pressed: the first of those who came has the focus.
    const more = moreOf(t("more"), page.next, (next) => this.#page(looked, next), (found) => put(found)[0]?.querySelector("a").focus());
    fill(this.place, table, more);
  }

  #row(person) {
    const groups = this.groups.chosenOf(person).map((group) => group.name);
    return h(
      "tr",
      {},
      h("td", {}, h("a", { class: "people-name", href: addressOf(person) }, nameOf(person))),
      h("td", {}, t(person.role)),
      h("td", { class: groups.length ? "" : "soft people-none" }, groups.length ? groups.join(", ") : "—"),
      h("td", {}, numberOf(person)),
    );
  }

  async #add() {
    const { PersonForm } = await import("./form.js");
    if (!this.element.isConnected) return; // somebody went on while it was loading
    const form = new PersonForm(this.api, this.groups, null, (made) => {
      if (this.element.isConnected) this.context.go(`people/one/${encodeURIComponent(made.id)}`);
    });
    form.open(this.dialogs, () => this.addButton.focus());
  }

  #failed(error, retry) {
    if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
    this.place.removeAttribute("aria-busy");
    this.status.textContent = "";
    const isNoSearch = error instanceof Problem && error.status === 422;
    fill(this.place, errorNote(error, { known: { ...KNOWN, invalid_request: t("search_malformed"), not_found: t("wrong_unknown_group") }, retry: isNoSearch ? undefined : retry }));
  }
}

/** Whether it is too little to be looked for; nothing at all is everybody. */
function isShort(q) {
  if (!q) return false;
  return /\p{L}/u.test(q) ? q.length < 2 : q.replaceAll(/\D/g, "").length < 3;
}
