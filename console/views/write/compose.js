// The text: its category with the advice of L1, fields at the caret, a meter as it is typed, one key against the accents that cost.
import { fill, h, icon, set } from "../../lib/dom.js";
import { countAccents } from "../../lib/segments.js";

import { note } from "../../lib/say.js";
import { CATEGORIES, goesBySms } from "./state.js";
import { compose, fillNeutral, hasFields, meter, SEGMENTS_MAX } from "./texts.js";
import { t } from "./words.js";
import { language } from "../../lib/words.js";

const FIELDS = { es: { student: "estudiante", course: "curso", guardian: "apoderado" }, en: { student: "student", course: "course", guardian: "guardian" } }[language];

export class Compose {
  /** `onChange` is told of every change of the text, the category and the accents. */
  constructor(state, onChange) {
    this.state = state;
    this.onChange = onChange;
    this.advice = h("div", { class: "advice", id: "category-advice", "aria-live": "polite" });
    this.meter = h("div", { class: "meter", id: "text-meter" });
    this.problem = h("p", { class: "wrong", id: "text-problem", role: "alert" });
    this.preview = h("figure", { class: "preview" });
    this.estimate = null;
    this.theirs = null; // {name, text}: as somebody of the list reads it
    this.#build();
    this.update();
  }

  /** As the state is now; `estimate`: of exactly this text, or null. */
  update(estimate = null) {
    this.estimate = estimate;
    this.#showAdvice();
    this.#showMeter();
    if (!this.theirs) this.#showPreview();
  }

  /** What is wrong with the text, in words; "": nothing. */
  say(problem) {
    this.problem.textContent = problem;
    this.area.setAttribute("aria-invalid", String(Boolean(problem)));
  }

  /** How somebody of the list reads it: as the API fills it in. */
  showTheirs(name, text) {
    this.theirs = { name, text };
    fill(this.preview, h("figcaption", { class: "small soft" }, t("preview_of", name)), h("p", { class: "bubble text" }, text));
  }

  /** The state's text, after somebody else than the keyboard changed it. */
  refill() {
    this.theirs = null;
    this.area.value = this.state.text;
    this.select.value = this.state.category;
    this.update();
  }

  lock() {
    set(this.area, { readonly: true });
    for (const control of this.element.querySelectorAll("button, select")) control.disabled = true;
  }

  #build() {
    this.select = h(
      "select",
      { class: "input", id: "category", "aria-describedby": "category-advice" },
      h("option", { value: "" }, t("category_choose")),
      CATEGORIES.map((one) => h("option", { value: one }, t(one))),
    );
    this.select.value = this.state.category;
    this.select.addEventListener("change", () => {
      this.state.category = this.select.value;
      this.state.noticeConfirmed = false;
      this.#changed();
    });
    this.area = h("textarea", { class: "input", id: "text", maxlength: 5000, rows: 6, "aria-describedby": "text-problem text-meter" });
    this.area.value = this.state.text;
    this.area.addEventListener("input", () => {
      this.state.text = this.area.value;
      this.#changed();
    });
    const fields = Object.entries(FIELDS).map(([field, word]) => {
      const button = h("button", { type: "button", class: "button small-button", "aria-label": `${t("fields")} {${word}}: ${t(`field_${field}`)}` }, icon("plus"), `{${word}}`);
      button.addEventListener("click", () => this.#insert(`{${word}}`));
      return button;
    });
    this.accents = h("div", { class: "accents" });
    this.element = h(
      "section",
      { class: "panel stack", "aria-labelledby": "what-title" },
      h("h2", { id: "what-title" }, t("what")),
      h("div", { class: "field" }, h("label", { for: "category" }, t("category")), this.select, this.advice),
      h("div", { class: "field" }, h("label", { for: "text" }, t("text")), this.area, this.problem),
      h("div", { class: "row", role: "group", "aria-label": t("fields") }, fields),
      this.meter,
      this.accents,
      this.preview,
    );
  }

  #changed() {
    this.theirs = null;
    this.update();
    this.onChange();
  }

  #insert(word) {
    this.area.focus();
    this.area.setRangeText(word, this.area.selectionStart, this.area.selectionEnd, "end");
    this.state.text = this.area.value;
    this.#changed();
  }

  #showAdvice() {
    const { state } = this;
    if (!state.category) {
      fill(this.advice);
      return;
    }
    const said = t(`advice_${state.category}`);
    if (state.category !== "notice" || !goesBySms(state)) {
      fill(this.advice, h("p", { class: "hint" }, said));
      return;
    }
    if (this.advice.querySelector("input")) return; // it stands there already, and may have the focus
    // L1: never a silent charge. The free way is one press; the other needs a tick.
    const free = h("button", { type: "button", class: "button" }, icon("inbox"), t("notice_to_inbox"));
    free.addEventListener("click", () => {
      state.by = "inbox";
      this.#changed();
      this.select.focus();
    });
    const box = h("input", { type: "checkbox", checked: state.noticeConfirmed });
    box.addEventListener("change", () => {
      state.noticeConfirmed = box.checked;
      this.#changed();
    });
    fill(this.advice, note("warn", h("p", {}, said), h("p", {}, free), h("label", { class: "check" }, box, t("notice_confirm"))));
  }

  #showMeter() {
    const { state } = this;
    const text = compose(state.text);
    if (!text) {
      fill(this.meter, h("p", { class: "soft" }, t("meter_empty")));
      fill(this.accents);
      return;
    }
    if (!goesBySms(state)) {
      fill(this.meter, h("p", { class: "soft" }, t("meter_screen", [...text].length)));
      fill(this.accents);
      return;
    }
    const size = meter(text, { withoutAccents: state.withoutAccents });
    const costly = [...new Set([...size.costly, ...(this.estimate?.text.costly_characters ?? [])])];
    const isOver = size.segments > SEGMENTS_MAX;
    fill(
      this.meter,
      h("p", { class: "row apart" }, h("strong", { class: "tabular", "data-segments": size.segments }, t("meter_segments", size.segments)), h("span", { class: "soft tabular" }, t("meter_room", size.room))),
      h("div", { class: "segments", "aria-hidden": "true" }, bars(size)),
      h("p", { class: "small soft" }, t(size.encoding === "GSM-7" ? "meter_plain" : "meter_ucs")),
      isOver && h("p", { class: "wrong" }, t("meter_over", SEGMENTS_MAX)),
      costly.length > 0 && h("p", { class: "small" }, t("meter_wide"), " ", costly.slice(0, 20).map((letter) => [h("kbd", { class: "letter" }, letter), " "])),
    );
    this.#showAccents(text, size);
  }

  #showAccents(text, size) {
    const { state } = this;
    const key = (name, label) => {
      if (this.accents.dataset.shown === `${name} ${label}`) return; // the same key stays, with its focus
      const hadFocus = this.accents.contains(document.activeElement);
      this.accents.dataset.shown = `${name} ${label}`;
      const button = h("button", { type: "button", class: `button ${name === "drop" ? "saves" : ""}` }, label);
      button.addEventListener("click", () => {
        state.withoutAccents = name === "drop";
        this.#changed();
      });
      fill(this.accents, button, name === "back" && h("p", { class: "small soft" }, t("accents_off")));
      if (hadFocus) button.focus();
    };
    if (state.withoutAccents) {
      key("back", t("accents_back"));
      return;
    }
    const count = countAccents(text);
    const perPerson = size.segments - meter(text, { withoutAccents: true }).segments;
    const credits = this.estimate?.without_accents?.saves ?? 0;
    const label = count ? t("accents_count", count) : t("accents_names");
    if (credits > 0) key("drop", `${label} ${t("accents_saves_credits", credits)}`);
    else if (count && perPerson > 0 && !this.estimate) key("drop", `${label} ${t("accents_saves_segments", perPerson)}`);
    else {
      delete this.accents.dataset.shown;
      fill(this.accents);
    }
  }

  #showPreview() {
    const text = compose(this.state.text);
    const isPlain = this.state.withoutAccents && goesBySms(this.state);
    if (!text || (!hasFields(text) && !isPlain)) {
      fill(this.preview);
      return;
    }
    fill(
      this.preview,
      h("figcaption", { class: "small soft" }, t("preview"), hasFields(text) && ` · ${t("preview_neutral")}`),
      h("p", { class: "bubble text" }, fillNeutral(text, { withoutAccents: isPlain })),
    );
  }
}

function bars(size) {
  const part = size.segments === 1 ? (size.encoding === "GSM-7" ? 160 : 70) : size.encoding === "GSM-7" ? 153 : 67;
  return Array.from({ length: Math.min(size.segments, SEGMENTS_MAX) }, (_, at) => {
    const used = at < size.segments - 1 ? 1 : (part - size.room) / part;
    return h("span", { class: "segment" }, h("span", { style: { width: `${Math.round(100 * used)}%` } }));
  });
}

