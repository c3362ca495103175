// Somebody added by hand, or a record edited: the same fields, what is wrong said at each of them. Asked again, it is asked with the same key.
import { newKey, NoAnswer, OnceKey, Problem } from "../../lib/api.js";
import { fill, h } from "../../lib/dom.js";
import { actionButton, errorNote, note } from "../../lib/say.js";
import { KNOWN, t } from "./directory_words.js";
import { addressOf, fieldOf, openDialog, ROLES } from "./persons.js";
import { Picker } from "./picker.js";

const NAME_MAX = 100;
const NUMBER_MAX = 40;

export class PersonForm {
  #key = new OnceKey();

  /** `record`: {person, students, guardians, unread} to be edited, or null for somebody new; `done(person)`: as the API has it now. */
  constructor(api, groups, record, done) {
    this.api = api;
    this.groups = groups;
    this.before = record?.person ?? null;
    // Its id is chosen here: whoever was added by a request without an answer is not added again when something is corrected meanwhile.
    this.newId = record ? null : `p-${newKey()}`;
    this.done = done;
    const { before } = this;
    const text = (id, value, length, more = {}) => h("input", { class: "input", id, autocomplete: "off", maxlength: length, value, ...more });
    const role = h("select", { class: "input", id: "person-role", required: true, onChange: () => this.#arrange() }, !before && h("option", { value: "" }, t("choose")), ROLES.map((one) => h("option", { value: one }, t(one))));
    role.value = before?.role ?? "";
    this.fields = {
      role: fieldOf(role, t("role")),
      given_name: fieldOf(text("person-given", before?.given_name ?? "", NAME_MAX, { required: true }), t("given_name")),
      family_name: fieldOf(text("person-family", before?.family_name ?? "", NAME_MAX, { required: true }), t("family_name")),
    };
    if (!before) this.fields.number = fieldOf(text("person-number", "", NUMBER_MAX, { type: "tel" }), t("number"), t("number_optional"));
    this.students = new Picker(api, "person-students", t("form_students"), "student", family(record, "students"));
    this.guardians = new Picker(api, "person-guardians", t("form_guardians"), "guardian", family(record, "guardians"));
    this.boxes = new Map([...groups.courses, ...groups.custom].map((group) => [group.id, h("input", { type: "checkbox", value: group.id, checked: before?.groups.includes(group.id) ?? false })]));
    this.groupsWrong = h("p", { class: "wrong", id: "person-groups-wrong" });
    this.groupsSet = h("fieldset", { class: "plain-set", "aria-describedby": "person-groups-wrong" });
    this.trouble = h("div", { class: "people-said" });
  }

  /** Opens it in `place`; `closed` is told when it is gone. */
  open(place, closed) {
    const { before, fields } = this;
    const form = h("form", { class: "stack", novalidate: true, onSubmit: (event) => event.preventDefault() }, Object.values(fields).map((one) => one.element), this.students.element, this.guardians.element, this.groupsSet, this.trouble);
    const hint = !before ? t("add_text") : before.source === "roster" && t("edit_roster");
    const save = actionButton(t("save"), () => this.#save(), { kind: "main" });
    form.addEventListener("submit", () => save.click()); // Enter in a field
    form.addEventListener("input", () => this.isMarked && !form.querySelector('[aria-invalid="true"]') && this.#clear()); // all of it was mended
    const back = h("button", { type: "button", class: "button", onClick: () => this.dialog.close() }, t("cancel"));
    this.#arrange();
    this.dialog = openDialog(place, t(before ? "edit_title" : "add_title"), [hint && (before ? note("info", h("p", {}, hint)) : h("p", { class: "soft" }, hint)), form], [save, back], () => {
      this.students.stop();
      this.guardians.stop();
      closed();
    });
    fields[before ? "given_name" : "role"].input.focus();
  }

  get #role() {
    return this.fields.role.input.value;
  }

  /** Students have guardians, guardians students and their courses; everybody else courses only. */
  #arrange() {
    const isGuardian = this.#role === "guardian";
    this.students.element.hidden = !isGuardian;
    this.guardians.element.hidden = this.#role !== "student";
    const offered = isGuardian ? this.groups.custom : [...this.groups.courses, ...this.groups.custom];
    this.groupsSet.hidden = !this.#role || (offered.length === 0 && !isGuardian);
    fill(
      this.groupsSet,
      h("legend", {}, t("form_groups")),
      isGuardian && h("p", { class: "hint small soft" }, t("guardian_groups")),
      offered.length > 0 && h("div", { class: "people-groups" }, offered.map((group) => h("label", { class: "check" }, this.boxes.get(group.id), group.name))),
      this.groupsWrong,
    );
  }

  /** What the record is to say; of one that is there only what is another. */
  #content() {
    const { before, fields } = this;
    const isGuardian = this.#role === "guardian";
    const custom = new Set(this.groups.custom.map((group) => group.id));
    const said = {
      role: this.#role,
      given_name: fields.given_name.input.value.trim(),
      family_name: fields.family_name.input.value.trim(),
      groups: [...this.boxes].filter(([id, box]) => box.checked && (!isGuardian || custom.has(id))).map(([id]) => id),
      students: isGuardian ? this.students.ids : [],
      guardians: this.#role === "student" ? this.guardians.ids : [],
    };
    if (!before) return { id: this.newId, ...said, number: fields.number.input.value.trim() || null };
    const now = {
      role: before.role,
      given_name: before.given_name,
      family_name: before.family_name,
      groups: before.groups.filter((id) => this.boxes.has(id) && (before.role !== "guardian" || custom.has(id))),
      students: before.students,
      guardians: before.guardians,
    };
    return Object.fromEntries(Object.entries(said).filter(([name, value]) => !isSame(value, now[name])));
  }

  async #save() {
    this.#clear();
    const missing = ["role", "given_name", "family_name"].filter((name) => !this.fields[name].input.value.trim());
    for (const name of missing) this.fields[name].wrong(t("needed"));
    if (missing.length) {
      this.isMarked = true;
      fill(this.trouble, note("bad", h("p", {}, t("check_fields"))));
      this.fields[missing[0]].input.focus();
      return;
    }
    const body = this.#content();
    if (this.before && Object.keys(body).length === 0) {
      this.dialog.close();
      return;
    }
    const [method, path] = this.before ? ["PATCH", `/people/${encodeURIComponent(this.before.id)}`] : ["POST", "/people"];
    try {
      const person = await this.api.send(method, path, body, { key: this.#key.of([path, body]) });
      this.#key.done();
      this.dialog.close();
      this.done(person);
    } catch (error) {
      if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
      this.#failed(error);
    }
  }

  #clear() {
    this.isMarked = false;
    fill(this.trouble);
    fill(this.groupsWrong);
    for (const one of [...Object.values(this.fields), this.students, this.guardians]) one.wrong("");
  }

  #failed(error) {
    const problems = error instanceof Problem && error.code === "invalid_request" ? error.fields : [];
    const places = { ...this.fields, students: this.students, guardians: this.guardians, groups: { wrong: (words) => fill(this.groupsWrong, words), input: this.groupsSet.querySelector("input") } };
    if (error instanceof Problem && error.code === "already_exists") {
      fill(this.trouble, note("bad", h("p", {}, t("added_before")), h("p", {}, h("a", { href: addressOf({ id: this.newId }) }, t("added_see")))));
      return;
    }
    let first = null;
    let isElsewhere = problems.length === 0;
    for (const { field, code } of problems) {
      const place = places[field.split("/")[1]];
      isElsewhere ||= !place;
      place?.wrong(wordsOf(code));
      first ??= place?.input;
    }
    this.isMarked = !isElsewhere;
    const isTooMuch = problems.some(({ code }) => code === "too_much_at_once");
    fill(this.trouble, isTooMuch ? note("bad", h("p", {}, t("too_much"))) : isElsewhere ? errorNote(error, { known: KNOWN }) : note("bad", h("p", {}, t("check_fields"))));
    first?.focus();
    if (!first) this.trouble.scrollIntoView({ block: "nearest" });
  }
}

const family = (record, name) => ({
  chosen: record?.[name] ?? [],
  unread: (record?.person[name] ?? []).filter((id) => record.unread.has(id)),
  exceptId: record?.person.id,
});

/** What is wrong with a field, by the API's code. */
export function wordsOf(code) {
  const words = t(`wrong_${code}`);
  return words === `wrong_${code}` ? t("wrong_other") : words;
}

function isSame(one, other) {
  if (!Array.isArray(one)) return one === other;
  return one.length === other.length && one.every((id) => other.includes(id));
}
