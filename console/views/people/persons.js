// What all parts of the view know of a person: name, number for SMS, groups; and how a dialog is opened.
import { fill, h, icon } from "../../lib/dom.js";
import { phone } from "../../lib/format.js";
import { redNumber } from "../../lib/say.js";
import { language } from "../../lib/words.js";
import { t } from "./directory_words.js";

export const ROLES = ["student", "guardian", "teacher", "staff", "administrator", "director"];

export const nameOf = (person) => `${person.given_name} ${person.family_name}`.trim() || t("no_name");

export const addressOf = (person) => `#/people/one/${encodeURIComponent(person.id)}`;

/** Who did it, as people say it: a user name of the portal's, or one of the API's own words. */
export const whoDid = (by) => (["self", "roster", "handset"].includes(by) ? t(by) : by);

/** A number for SMS: of whoever receives none in red, with an icon and words (L9); what cannot be used grey, with why. */
export function numberOf(person) {
  const said = person.number ? phone(person.number) : person.typed_number;
  if (person.opted_out) return redNumber(said && h("span", { class: "number" }, said), t("no_sms"));
  if (person.number) return h("span", { class: "number tabular" }, said);
  return h("span", { class: "skipped" }, icon("warning"), " ", t(person.number_problem ? "unusable_number" : "no_number"), said && `: ${said}`);
}

/** The school's groups as people choose them: courses and the school's own, the rest above them. */
export class Groups {
  constructor(groups) {
    const named = (one, other) => one.name.localeCompare(other.name, language, { numeric: true });
    this.byId = new Map(groups.map((group) => [group.id, group]));
    this.courses = groups.filter((group) => group.kind === "course").sort(named);
    this.custom = groups.filter((group) => group.kind === "custom").sort(named);
    this.whole = groups.filter((group) => group.kind === "school");
    this.above = groups.filter((group) => group.kind === "grade" || group.kind === "level").sort(named);
  }

  static async read(api, signal) {
    return new Groups((await api.get("/groups", {}, { signal })).groups);
  }

  /** Courses and own groups that a person is in. */
  chosenOf(person) {
    return [...this.courses, ...this.custom].filter((group) => person.groups.includes(group.id));
  }

  options() {
    const set = (label, groups) => groups.length > 0 && h("optgroup", { label }, groups.map((group) => h("option", { value: group.id }, group.name)));
    return [h("option", { value: "" }, t("all_groups")), set(t("courses"), this.courses), set(t("custom"), this.custom), set(t("grades"), this.above)];
  }
}

/** Opens a dialog in `place`; closed, by whatever key, it is gone and `closed` is told. */
export function openDialog(place, title, content, buttons, closed) {
  const heading = h("h2", { id: "people-dialog" }, title);
  const dialog = h("dialog", { "aria-labelledby": "people-dialog" }, h("div", { class: "stack" }, heading, content, h("div", { class: "row" }, buttons)));
  place.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    closed?.();
  });
  dialog.showModal();
  return dialog;
}

/** A field with its label, hint and place for what is wrong, tied together; `wrong(words)` marks it, "" takes the mark away. */
export function fieldOf(input, label, hint = null) {
  const wrong = h("p", { class: "wrong", id: `${input.id}-wrong` });
  input.setAttribute("aria-describedby", `${hint ? `${input.id}-hint ` : ""}${input.id}-wrong`);
  const element = h("div", { class: "field" }, h("label", { for: input.id }, label), hint && h("div", { class: "hint", id: `${input.id}-hint` }, hint), input, wrong);
  const mark = (words) => {
    fill(wrong, words && [icon("warning"), ` ${words}`]);
    if (words) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  input.addEventListener("input", () => mark("")); // what was wrong is being mended
  return { element, input, wrong: mark };
}
