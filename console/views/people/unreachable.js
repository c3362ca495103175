// Whom no SMS reaches for want of a number (L14): by course, to be printed and asked for, or as a file.
import { NoAnswer, OnceKey, Problem } from "../../lib/api.js";
import { fill, h, icon } from "../../lib/dom.js";
import { downloadAll } from "../../lib/files.js";
import { moment, number } from "../../lib/format.js";
import { actionButton, errorNote, note } from "../../lib/say.js";
import { language } from "../../lib/words.js";
import { KNOWN, t } from "./directory_words.js";
import { addressOf, Groups, openDialog, ROLES } from "./persons.js";

const PEOPLE_MAX = 2000;
const ROUNDS_MAX = 60; // a page may be short although there are more
const FILES_MAX = 100;

export class Unreachable {
  #checkKey = new OnceKey();

  constructor(context) {
    this.api = context.api;
    this.select = h("select", { class: "input", id: "unreachable-group", onChange: () => this.#read() }, h("option", { value: "" }, t("all_groups")));
    this.role = h("select", { class: "input", id: "unreachable-role", onChange: () => this.#arrange() }, h("option", { value: "" }, t("all_roles")), ROLES.map((one) => h("option", { value: one }, t(one))));
    this.hint = h("p", { class: "small soft no-print", hidden: true }, t("csv_all"));
    this.intro = h("p", { class: "soft" });
    this.status = h("p", { class: "people-status", role: "status" });
    this.place = h("div", { class: "stack" });
    this.said = h("div", { role: "status", class: "people-said no-print" });
    this.dialogs = h("div", { class: "people-said" });
    this.check = h("button", { type: "button", class: "button", disabled: true, onClick: () => this.#check() }, icon("messages"), t("check"));
    this.csv = actionButton(t("csv"), () => this.#csv(), { iconName: "download" });
    this.element = h(
      "div",
      { class: "stack unreachable" },
      h("p", { class: "no-print" }, h("a", { class: "button plain", href: "#/people" }, `← ${t("back")}`)),
      h("h1", { tabindex: "-1" }, t("unreachable_title")),
      this.intro,
      h(
        "div",
        { class: "row no-print unreachable-acts" },
        h("div", { class: "field" }, h("label", { for: "unreachable-group" }, t("group")), this.select),
        h("div", { class: "field" }, h("label", { for: "unreachable-role" }, t("role")), this.role),
        h("button", { type: "button", class: "button main", onClick: () => print() }, icon("print"), t("print")),
        this.csv,
        this.check,
      ),
      this.hint,
      this.said,
      this.status,
      this.place,
      this.dialogs,
    );
  }

  async begin() {
    const { signal } = (this.reading = new AbortController());
    try {
      this.groups = await Groups.read(this.api, signal);
    } catch (error) {
      if (!signal.aborted) this.#failed(error, () => this.begin());
      return;
    }
    fill(this.select, this.groups.options());
    this.check.disabled = false;
    await this.#read();
  }

  stop() {
    this.reading?.abort();
  }

  async #read() {
    this.reading?.abort();
    const { signal } = (this.reading = new AbortController());
    const group = this.select.value;
    const found = new Map();
    this.found = null;
    this.place.setAttribute("aria-busy", "true");
    this.status.textContent = t("unreachable_reading", 0);
    try {
      let cursor = null;
      for (let round = 0; round < ROUNDS_MAX && found.size < PEOPLE_MAX && (round === 0 || cursor); round += 1) {
        const page = await this.api.get("/people/unreachable", { group, cursor }, { signal });
        for (const one of page.people) found.set(one.id, one);
        cursor = page.next;
        this.status.textContent = t("unreachable_reading", found.size);
      }
      this.found = { people: [...found.values()], only: this.groups.byId.get(group)?.name, isCut: cursor !== null };
      this.#arrange();
    } catch (error) {
      if (!signal.aborted) this.#failed(error, () => this.#read());
    } finally {
      if (!signal.aborted) this.place.removeAttribute("aria-busy");
    }
  }

  /** Shows whom of those who were read one wants to see; the API knows no kinds here. */
  #arrange() {
    this.hint.hidden = !this.role.value;
    if (!this.found) return;
    const { people, only, isCut } = this.found;
    this.#show(this.role.value ? people.filter((one) => one.role === this.role.value) : people, only, isCut);
  }

  #show(people, only, isCut) {
    this.intro.textContent = t("unreachable_intro", moment(Date.now()));
    this.status.textContent = t("unreachable_count", people.length);
    if (people.length === 0 && !isCut) {
      fill(this.place, note("good", h("p", {}, t("unreachable_none"))));
      return;
    }
    const sections = this.#byCourse(people, only);
    fill(this.place, isCut && note("warn", h("p", {}, t("unreachable_cut", people.length))), sections.length > 1 && counts(sections), sections.map(section));
  }

  /** [name, people] by course as the school calls it; whoever is in none last. */
  #byCourse(people, only) {
    if (only) return people.length ? [[only, people]] : [];
    const names = new Set(this.groups.courses.map((group) => group.name));
    const courses = new Map();
    const rest = [];
    for (const one of people) {
      const of = one.groups.filter((name) => names.has(name));
      if (of.length === 0) rest.push(one);
      for (const name of of) courses.set(name, [...(courses.get(name) ?? []), one]);
    }
    const sorted = [...courses].sort(([one], [other]) => one.localeCompare(other, language, { numeric: true }));
    return rest.length ? [...sorted, [t("no_course"), rest]] : sorted;
  }

  /** Families are asked in their message centre (L14): those of the group chosen, or of the whole school. */
  #check() {
    const groups = this.select.value ? [this.groups.byId.get(this.select.value)] : this.groups.whole;
    const trouble = h("div", { class: "people-said" });
    const yes = actionButton(
      t("check_yes"),
      async () => {
        const path = `/groups/${encodeURIComponent(groups[0].id)}/data-check`;
        fill(trouble);
        try {
          const made = await this.api.send("POST", path, undefined, { key: this.#checkKey.of(path) });
          this.#checkKey.done();
          fill(this.said, note("good", h("p", {}, t("checked"), " ", h("a", { href: `#/messages/${made.id}` }, t("checked_see")))));
          dialog.close();
        } catch (error) {
          if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
          fill(trouble, errorNote(error, { known: { ...KNOWN, not_found: t("wrong_unknown_group") } }));
        }
      },
      { kind: "main", iconName: "send" },
    );
    const no = h("button", { type: "button", class: "button", onClick: () => dialog.close() }, t("cancel"));
    const isOne = groups.length === 1; // several schools on one roster have no group that is all of them
    const content = isOne ? [h("p", {}, t("check_text", groups[0].name)), trouble] : h("p", {}, t("check_choose"));
    const dialog = openDialog(this.dialogs, t("check_title"), content, isOne ? [yes, no] : [no], () => this.check.focus());
  }

  /** One file after the other, as the API cuts them; it is said whether all of them came. */
  async #csv() {
    fill(this.said);
    try {
      const query = { group: this.select.value, lang: language };
      const parts = await downloadAll(this.api, "/people/unreachable.csv", query, t("csv_name"), (part) => fill(this.said, h("p", {}, t("csv_part", part))), FILES_MAX);
      fill(this.said, h("p", {}, t("csv_done", parts)));
    } catch (error) {
      if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
      fill(this.said, errorNote(error, { known: KNOWN }), h("p", { class: "wrong" }, t("csv_broken")));
    }
  }

  #failed(error, retry) {
    if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
    this.place.removeAttribute("aria-busy");
    this.status.textContent = "";
    fill(this.place, errorNote(error, { known: { ...KNOWN, not_found: t("wrong_unknown_group") }, retry }));
  }
}

const isWrong = (one) => one.reason === "unusable_number";

function counts(sections) {
  const cells = (people) => [["no_number", people.filter((one) => !isWrong(one)).length], ["unusable_number", people.filter(isWrong).length], ["total", people.length]];
  return h(
    "section",
    { class: "panel stack", "aria-labelledby": "unreachable-counts" },
    h("h2", { id: "unreachable-counts" }, t("by_course")),
    h(
      "table",
      { class: "table cards unreachable-counts" },
      h("caption", { class: "heard" }, t("by_course")),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("course")), ["no_number", "unusable_number", "total"].map((name) => h("th", { scope: "col", class: "right" }, t(name))))),
      h("tbody", {}, sections.map(([name, people]) => h("tr", {}, h("th", { scope: "row" }, name), cells(people).map(([label, count]) => h("td", { class: "right", "data-label": t(label) }, number(count)))))),
    ),
    h("p", { class: "small soft" }, t("twice")),
  );
}

function section([name, people], index) {
  const sorted = [...people].sort((one, other) => sortName(one).localeCompare(sortName(other), language));
  return h(
    "section",
    { class: "panel stack unreachable-course", "aria-labelledby": `unreachable-${index}` },
    h("h2", { id: `unreachable-${index}` }, `${name} (${number(people.length)})`),
    h(
      "table",
      { class: "table cards unreachable-table" },
      h("caption", { class: "heard" }, name),
      h("thead", {}, h("tr", {}, ["name", "role", "why"].map((one) => h("th", { scope: "col" }, t(one))), h("th", { scope: "col", class: "print-only" }, t("new_number")))),
      h("tbody", {}, sorted.map(row)),
    ),
  );
}

function row(one) {
  return h(
    "tr",
    {},
    h("td", {}, h("a", { class: "people-name", href: addressOf(one) }, one.name), one.students.length > 0 && h("span", { class: "soft" }, ` ${t("of", one.students.join(", "))}`)),
    h("td", {}, t(one.role)),
    h("td", { class: "skipped" }, icon("warning"), " ", t(one.reason), one.typed_number && h("span", { class: "number" }, `: ${one.typed_number}`)),
    h("td", { class: "print-only" }),
  );
}

/** A guardian stands where their student would. */
const sortName = (one) => one.students[0] ?? one.name;
