// Whether SMS come, too, and who said so (L10); one's own number, corrected by families themselves (L14).
import { NoAnswer, OnceKey, Problem } from "../../lib/api.js";
import { fill, h, icon } from "../../lib/dom.js";
import { moment, phone } from "../../lib/format.js";
import { actionButton, errorNote, note } from "../../lib/say.js";
import { ask } from "./ask.js";
import { t } from "./words.js";

const CORRECT_THEMSELVES = ["guardian", "student"]; // of staff the office keeps the numbers
const LENGTH_MAX = 40;

export class Preference {
  /** `said` is told what became of an act. */
  constructor(api, who, said) {
    this.api = api;
    this.mayCorrect = CORRECT_THEMSELVES.includes(who.role);
    this.said = said;
    this.element = h("div", { class: "stack" });
    this.key = new OnceKey();
  }

  read() {
    return this.api.get("/me");
  }

  show(record) {
    this.record = record;
    const isOn = !record.opted_out;
    const { allowed } = record.sms;
    this.switch = actionButton(t(allowed ? "switch_off" : "switch_on"), () => this.#change(!allowed), { iconName: allowed ? "blocked" : "phone" });
    this.opener = h("button", { type: "button", class: "button", onClick: () => this.#openNumber() }, icon("write"), t(record.number ? "number_open" : "number_add"));
    this.numberPlace = h("div", { class: "number-place" });
    return h(
      "div",
      { class: "stack" },
      h(
        "p",
        { class: "row" },
        record.number && h("span", { class: isOn ? "tag good" : "tag bad" }, icon(isOn ? "done" : "blocked"), t(isOn ? "sms_on" : "sms_off")),
        record.number && h("span", { class: "tabular" }, t("number_is", phone(record.number))),
      ),
      !record.number && note("warn", h("p", {}, record.typed_number ? t("bad_number", record.typed_number) : t("no_number"), !this.mayCorrect && ` ${t("tell_school")}`)),
      whyOff(record).map((why) => h("p", { class: "note" }, icon("blocked"), h("span", { class: "small" }, why))),
      h("p", { class: "small soft" }, t("sms_free")),
      h("div", { class: "row" }, this.switch, this.mayCorrect && this.opener),
      this.numberPlace,
    );
  }

  async #change(allowed) {
    const body = { allowed };
    try {
      const changed = await this.api.send("PUT", "/me/sms", body, { key: this.key.of(["sms", body]) });
      this.key.done();
      this.#renew(changed, t(changed.sms.allowed ? "is_on" : "is_off"), () => this.switch);
    } catch (error) {
      fill(this.said, errorNote(error, { known: KNOWN }));
    }
  }

  #renew(record, words, next) {
    fill(this.element, this.show(record));
    fill(this.said, note("good", h("p", {}, words)));
    next().focus();
  }

  // --- the number

  #openNumber() {
    const input = h("input", { class: "input", id: "own-number", type: "tel", inputmode: "tel", autocomplete: "tel", maxlength: LENGTH_MAX, value: this.record.number ? phone(this.record.number) : this.record.typed_number, "aria-describedby": "own-number-problem own-number-hint" });
    const problem = h("p", { class: "wrong", id: "own-number-problem", role: "alert", hidden: true });
    const trouble = h("div", {});
    const say = (words) => {
      input.setAttribute("aria-invalid", String(Boolean(words)));
      problem.hidden = !words;
      problem.textContent = words;
      if (words) input.focus();
    };
    const save = actionButton(t("number_save"), async () => {
      fill(trouble);
      const typed = input.value.trim();
      if (!typed) return say(t("number_empty"));
      say("");
      try {
        await this.#put(typed);
      } catch (error) {
        if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
        const wrong = error instanceof Problem && error.status === 422 ? error.fields.find((one) => one.field === "/number") : null;
        if (wrong) say(WRONG[wrong.code] ? t(wrong.code) : (wrong.detail ?? t("unusable_number")));
        else fill(trouble, errorNote(error, { known: KNOWN }));
      }
    }, { kind: "main" });
    const form = h(
      "form",
      { class: "stack number-form", "aria-label": t("number_title"), novalidate: true },
      h("div", { class: "field" }, h("label", { for: "own-number" }, t("number_label")), input, problem, h("p", { class: "hint", id: "own-number-hint" }, t("number_hint"))),
      trouble,
      h(
        "div",
        { class: "row" },
        save,
        (this.record.number || this.record.typed_number) && h("button", { type: "button", class: "button danger", onClick: () => this.#remove() }, t("number_remove")),
        h("button", { type: "button", class: "button plain", onClick: () => this.#closeNumber() }, t("back")),
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault(); // Enter in the field
      save.click();
    });
    this.opener.hidden = true;
    fill(this.numberPlace, form);
    input.focus();
  }

  #closeNumber() {
    fill(this.numberPlace);
    this.opener.hidden = false;
    this.opener.focus();
  }

  #remove() {
    return ask(this.numberPlace, { title: t("remove_title"), means: t("remove_means"), yes: t("remove_yes") }, () => this.#put(null));
  }

  async #put(number) {
    const body = { number };
    const changed = await this.api.send("PUT", "/me/number", body, { key: this.key.of(["number", body]) });
    this.key.done();
    this.#renew(changed, changed.number ? t("number_saved", phone(changed.number)) : t("number_removed"), () => this.opener);
  }
}

export const KNOWN = { token_names_nobody: t("nobody"), not_found: t("gone") };
const WRONG = { unusable_number: true, length: true, not_printable: true };

/** Who put SMS off, each cause of it; none while they come. */
function whyOff({ sms, replied_stop: repliedStop, opted_out: isOff }) {
  if (!isOff) return [];
  const at = sms.changed_at && moment(sms.changed_at);
  const why = [];
  if (!sms.allowed) why.push(t(sms.changed_by === "school" ? "off_by_school" : "off_by_self", at));
  if (repliedStop) why.push(t("replied_stop"));
  return why.length > 0 ? why : [t("off_by_sharing")];
}
