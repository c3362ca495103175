// The number of somebody and whether SMS goes there: who decided so and why, what stands in the way, and both acts (L8, L9, L10, L14).
import { NoAnswer, OnceKey, Problem } from "../../lib/api.js";
import { fill, h, icon } from "../../lib/dom.js";
import { moment } from "../../lib/format.js";
import { actionButton, errorNote, note } from "../../lib/say.js";
import { KNOWN, t } from "./directory_words.js";
import { wordsOf } from "./form.js";
import { fieldOf, nameOf, numberOf, openDialog, whoDid } from "./persons.js";

const REASON_MAX = 500;
const NUMBER_MAX = 40;

export class Sms {
  #switchKey = new OnceKey();
  #numberKey = new OnceKey();

  /** `changed(person, words, act)`: the API answered the record as it is now; `words` say what was done by the button `act`. */
  constructor(api, changed) {
    this.api = api;
    this.changed = changed;
    this.place = h("div", { class: "stack" });
    this.dialogs = h("div", { class: "people-said" });
    this.element = h("section", { class: "panel stack", "aria-labelledby": "sms-title" }, h("h2", { id: "sms-title" }, t("sms")), this.place, this.dialogs);
  }

  show(person) {
    this.person = person;
    const { sms } = person;
    const isReady = person.number !== null;
    fill(
      this.place,
      h("p", { class: "people-number" }, numberOf(person)),
      this.#aboutNumber(person),
      !person.opted_out && h("p", {}, h("span", { class: `tag ${isReady ? "good" : ""}` }, icon(isReady ? "done" : "warning"), t(isReady ? "sms_on" : "sms_ready"))),
      sms.changed_at && h("p", {}, t(sms.allowed ? "switched_on" : "switched_off", whoDid(sms.changed_by), moment(sms.changed_at))),
      sms.reason && h("p", { class: "text" }, t("reason_said", sms.reason)),
      person.replied_stop && note("warn", h("p", {}, t("replied_stop")), !sms.allowed && h("p", {}, t("stop_besides"))),
      this.#isOwn && note("warn", h("p", {}, t("own_choice"))),
      person.opted_out && h("p", { class: "soft small" }, t("inbox_still")),
      person.left_at === null && h("div", { class: "row" }, this.#numberButton(), this.#switchButton()),
    );
  }

  get #isOwn() {
    return !this.person.sms.allowed && this.person.sms.changed_by === "self";
  }

  #aboutNumber(person) {
    return [
      !person.number && h("p", {}, person.typed_number ? t("typed_wrong", person.typed_number) : t("number_missing")),
      person.number_corrected_by && h("p", { class: "small soft" }, t("corrected_by", whoDid(person.number_corrected_by))),
    ];
  }

  #numberButton() {
    const has = this.person.number || this.person.typed_number;
    return h("button", { type: "button", class: "button", "data-act": "number", onClick: () => this.#correct() }, icon("phone"), t(has ? "correct" : "write_number"));
  }

  /** None where the school cannot decide: the person did, or their handset. */
  #switchButton() {
    const { sms, replied_stop: hasStopped } = this.person;
    if (this.#isOwn || (sms.allowed && hasStopped)) return null;
    return sms.allowed
      ? h("button", { type: "button", class: "button danger", "data-act": "switch", onClick: () => this.#switch(false) }, icon("blocked"), t("switch_off"))
      : h("button", { type: "button", class: "button", "data-act": "switch", onClick: () => this.#switch(true) }, icon("done"), t("switch_on"));
  }

  #back(act) {
    (this.place.querySelector(`[data-act="${act}"]`) ?? this.place.querySelector("button"))?.focus();
  }

  #switch(allowed) {
    const { person } = this;
    const name = nameOf(person);
    const reason = fieldOf(h("textarea", { class: "input people-reason", id: "sms-reason", maxlength: REASON_MAX, required: true }), t("reason"), t("reason_hint"));
    const trouble = h("div", { class: "people-said" });
    const act = async () => {
      const text = reason.input.value.trim();
      reason.wrong(text ? "" : t("reason_missing"));
      if (!text) return reason.input.focus();
      const path = `/people/${encodeURIComponent(person.id)}/sms`;
      const body = { allowed, reason: text };
      fill(trouble);
      try {
        const now = await this.api.send("PUT", path, body, { key: this.#switchKey.of([path, body]) });
        this.#switchKey.done();
        const words = !allowed ? "is_off" : now.replied_stop ? "is_on_stop" : now.number ? "is_on" : "is_on_no_number";
        this.changed(now, t(words));
        dialog.close();
      } catch (error) {
        this.#failed(error, reason, trouble);
      }
    };
    const yes = actionButton(t(allowed ? "switch_on" : "switch_off"), act, { kind: allowed ? "main" : "danger", iconName: allowed ? "done" : "blocked" });
    const no = h("button", { type: "button", class: "button", onClick: () => dialog.close() }, t("cancel"));
    const content = [
      h("p", {}, t(allowed ? "switch_on_text" : "switch_off_text")),
      allowed && person.replied_stop && note("warn", h("p", {}, t("switch_on_stop"))),
      reason.element,
      trouble,
    ];
    const dialog = openDialog(this.dialogs, t(allowed ? "switch_on_title" : "switch_off_title", name), content, [yes, no], () => this.#back("switch"));
    reason.input.focus();
  }

  #correct() {
    const { person } = this;
    let has = person.typed_number || person.number || "";
    const input = h("input", { class: "input", id: "sms-number", type: "tel", autocomplete: "off", maxlength: NUMBER_MAX, value: has });
    const number = fieldOf(input, t("number"), t("number_hint"));
    const trouble = h("div", { class: "people-said" });
    const act = async () => {
      const typed = input.value.trim();
      fill(trouble);
      if (typed === has) {
        number.wrong(t("number_same"));
        return input.focus();
      }
      number.wrong("");
      const path = `/people/${encodeURIComponent(person.id)}`;
      const body = { number: typed || null };
      try {
        const now = await this.api.send("PATCH", path, body, { key: this.#numberKey.of([path, body]) });
        this.#numberKey.done();
        has = now.typed_number;
        this.changed(now, t(!typed ? "number_taken" : now.number_problem ? "number_unusable" : "number_saved"), now.number_problem);
        no.textContent = t("close");
        if (!now.number_problem) return dialog.close();
        number.wrong(t("number_unusable"));
        input.focus();
      } catch (error) {
        this.#failed(error, number, trouble);
      }
    };
    const yes = actionButton(t("save"), act, { kind: "main" });
    const no = h("button", { type: "button", class: "button", onClick: () => dialog.close() }, t("cancel"));
    input.addEventListener("keydown", (event) => event.key === "Enter" && yes.click());
    const hints = [person.source === "roster" && h("p", { class: "small soft" }, t("number_roster")), person.opted_out && h("p", { class: "small soft" }, t("number_moves"))];
    const dialog = openDialog(this.dialogs, t("correct_title", nameOf(person)), [number.element, hints, trouble], [yes, no], () => this.#back("number"));
    input.focus();
    input.select();
  }

  #failed(error, field, trouble) {
    if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
    const wrong = error instanceof Problem && error.code === "invalid_request" ? error.fields[0] : null;
    if (wrong) {
      field.wrong(wordsOf(wrong.code));
      field.input.focus();
      return;
    }
    fill(trouble, errorNote(error, { known: KNOWN }));
  }
}
