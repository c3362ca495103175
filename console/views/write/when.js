// By which ways and when: now, or at a time on the school's clocks.
import { fill, h } from "../../lib/dom.js";
import { clockIn } from "./state.js";
import { t } from "./words.js";

const HOUR_MS = 3_600_000;

export class When {
  /** `school`: of the API; `onChange(isContent)`: whether what is estimated is another. */
  constructor(school, state, onChange, { isScheduled }) {
    this.school = school;
    this.state = state;
    this.onChange = onChange;
    this.problem = h("div", { class: "wrong", id: "at-problem", role: "alert" });
    this.input = h("input", { class: "input", type: "datetime-local", id: "at", "aria-describedby": "at-zone at-problem" });
    this.input.addEventListener("input", () => {
      this.state.at = this.input.value;
      this.state.offset = "";
      this.say("");
      this.onChange(false);
    });
    this.unreachable = h("input", { type: "checkbox" });
    this.unreachable.addEventListener("change", () => {
      this.state.unreachable = this.unreachable.checked;
      this.onChange(true);
    });
    this.ways = radios("by", t("by"), ["sms", "both", "inbox"], (one) => t(`by_${one}`), (one) => {
      this.state.by = one;
      this.update();
      this.onChange(true);
    });
    this.times = radios("when", t("when"), isScheduled ? ["later"] : ["now", "later"], (one) => t(`when_${one}`), (one) => {
      this.state.when = one;
      if (one === "later" && !this.state.at) this.state.at = this.#tomorrow();
      this.update();
      this.onChange(false);
    });
    this.atField = h("div", { class: "field at-field" }, h("label", { for: "at" }, t("at")), this.input, h("div", { class: "hint", id: "at-zone" }, t("at_zone", school.time_zone)), this.problem);
    this.copyRow = h("label", { class: "check" }, this.unreachable, h("span", {}, t("unreachable")));
    this.element = h("section", { class: "panel stack", "aria-labelledby": "how-title" }, h("h2", { id: "how-title" }, t("how")), this.ways.element, this.copyRow, this.times.element, this.atField);
    this.update();
  }

  update() {
    const { state } = this;
    this.ways.choose(state.by);
    this.times.choose(state.when);
    this.unreachable.checked = state.unreachable;
    this.copyRow.hidden = state.by !== "sms";
    this.atField.hidden = state.when !== "later";
    this.input.min = clockIn(this.school.time_zone, Date.now());
    if (this.input.value !== state.at) this.input.value = state.at;
  }

  /** What is wrong with the time; "": nothing. `acts`: buttons that mend it. */
  say(problem, ...acts) {
    this.input.setAttribute("aria-invalid", String(Boolean(problem)));
    fill(this.problem, problem && h("p", {}, problem), acts.length > 0 && h("div", { class: "row" }, acts));
  }

  /** Whether the time can be asked for at all; says what is wrong if not. */
  isGood() {
    if (this.state.when === "now") return true;
    const isPast = !this.state.at || this.state.at <= clockIn(this.school.time_zone, Date.now());
    this.say(isPast ? t("at_past") : "");
    return !isPast;
  }

  #tomorrow() {
    return `${clockIn(this.school.time_zone, Date.now() + 24 * HOUR_MS).slice(0, 10)}T08:00`;
  }
}

function radios(name, legend, options, label, onChoose) {
  const inputs = options.map((one) => {
    const input = h("input", { type: "radio", name, value: one });
    input.addEventListener("change", () => onChoose(one));
    return input;
  });
  return {
    element: h("fieldset", { class: "plain-set" }, h("legend", {}, legend), h("div", { class: "radios" }, inputs.map((input) => h("label", { class: "check" }, input, label(input.value))))),
    choose(value) {
      for (const input of inputs) input.checked = input.value === value;
    },
  };
}
