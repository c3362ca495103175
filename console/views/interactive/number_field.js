// Whom one writes to, before: numbers typed or pasted, each a chip that can be taken off by key and by pointer.
import { fill, h, icon } from "../../lib/dom.js";
import { shown } from "./reasons.js";
import { readList } from "./numbers.js";
import { t } from "./words.js";

const TABBED_MAX = 12; // of more chips only one is reached by Tab, the others by arrows
const LIST = /[,;\n\r\t|]/;

export class NumberField {
  #settings;
  #say;
  #index = 0;
  #chips = h("ul", { class: "chips" });
  #all = h("button", { type: "button", class: "button plain small", onClick: () => this.#removeAll() });
  #wrong = h("p", { class: "wrong", id: "numbers-wrong", role: "alert" });

  /** `numbers`: [{typed, key}], changed here; `say(text)`: to whoever hears the page. */
  constructor({ numbers, settings, say }) {
    this.numbers = numbers;
    this.#settings = settings;
    this.#say = say;
    this.input = h("input", {
      class: "input",
      id: "numbers",
      type: "text",
      inputmode: "tel",
      autocomplete: "off",
      spellcheck: "false",
      enterkeyhint: "done",
      "aria-describedby": "numbers-hint numbers-wrong",
      onKeydown: (event) => this.#pressed(event),
      onInput: () => LIST.test(this.input.value) && this.take(),
      onPaste: (event) => this.#pasted(event),
    });
    this.element = h(
      "div",
      { class: "field" },
      h("label", { for: "numbers" }, t("numbers")),
      h("div", { class: "with-button" }, this.input, h("button", { type: "button", class: "button", onClick: () => this.#add() }, icon("plus"), t("add"))),
      h("p", { class: "hint", id: "numbers-hint" }, t("numbers_hint", settings.handsets_max)),
      this.#wrong,
      this.#chips,
      this.#all,
    );
    this.#show();
  }

  /** Takes what is typed as numbers; what is none stays typed. False: something stayed. */
  take() {
    return this.add(this.input.value);
  }

  /** Adds the numbers of a text. False: not all of it could be. */
  add(text) {
    const { numbers, rest } = readList(text, this.#settings.countries[0]);
    const there = new Set(this.numbers.map((one) => one.key));
    const fresh = [];
    for (const one of numbers) {
      if (!there.has(one.key)) fresh.push(one);
      there.add(one.key);
    }
    const room = this.#settings.handsets_max - this.numbers.length;
    const left = fresh.splice(Math.max(0, room));
    this.numbers.push(...fresh);
    this.input.value = [...rest, ...left.map((one) => one.typed)].join(", ");
    this.#show();
    const said = [];
    if (fresh.length > 0) said.push(fresh.length === 1 ? t("added", shown(fresh[0].key), this.numbers.length) : t("added_many", fresh.length, this.numbers.length));
    const doubles = numbers.length - fresh.length - left.length;
    if (doubles > 0) said.push(t("double", doubles));
    if (said.length > 0) this.#say(said.join(" "));
    this.setWrong(rest.length > 0 ? t("no_number", rest[0]) : left.length > 0 ? t("too_many_numbers", this.#settings.handsets_max, left.length) : "");
    return rest.length === 0 && left.length === 0;
  }

  /** Takes those off that are no longer wanted, e.g. refused ones. */
  keep(isKept) {
    this.numbers.splice(0, this.numbers.length, ...this.numbers.filter(isKept));
    this.#show();
  }

  setWrong(text) {
    this.#wrong.textContent = text;
    if (text) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
  }

  #show() {
    this.#index = Math.max(0, Math.min(this.#index, this.numbers.length - 1));
    const isLong = this.numbers.length > TABBED_MAX;
    fill(
      this.#chips,
      this.numbers.map((one, index) =>
        h(
          "li",
          { class: "chip" },
          h("span", { class: "tabular" }, shown(one.key)),
          h(
            "button",
            {
              type: "button",
              "aria-label": t("remove", shown(one.key)),
              tabindex: isLong && index !== this.#index ? "-1" : null,
              onClick: () => this.#remove(index),
              onKeydown: (event) => this.#moved(event, index),
            },
            icon("close"),
          ),
        ),
      ),
    );
    this.#chips.hidden = this.numbers.length === 0;
    this.#chips.setAttribute("aria-label", t("chosen"));
    this.#all.textContent = t("remove_all");
    this.#all.hidden = this.numbers.length < 3;
  }

  #add() {
    this.take();
    this.input.focus();
  }

  #pressed(event) {
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.take();
    } else if (event.key === "Backspace" && this.input.value === "" && this.numbers.length > 0) {
      event.preventDefault(); // to the last chip, not straight into taking it off
      this.#focus(this.numbers.length - 1);
    }
  }

  /** A field of one line would make one number of a list. */
  #pasted(event) {
    const text = event.clipboardData.getData("text");
    if (!LIST.test(text)) return;
    event.preventDefault();
    this.add(`${this.input.value},${text}`);
  }

  #moved(event, index) {
    const to = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: this.numbers.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.#focus(to);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      this.#remove(index);
    }
  }

  #remove(index) {
    const [gone] = this.numbers.splice(index, 1);
    this.#index = index;
    this.#show();
    this.setWrong("");
    this.#say(t("removed", shown(gone.key), this.numbers.length));
    if (this.numbers.length > 0) this.#focus(Math.min(index, this.numbers.length - 1));
    else this.input.focus();
  }

  #removeAll() {
    this.keep(() => false);
    this.setWrong("");
    this.#say(t("forgotten"));
    this.input.focus();
  }

  #focus(index) {
    const buttons = this.#chips.querySelectorAll("button");
    if (!buttons[index]) return;
    if (this.numbers.length > TABBED_MAX) {
      buttons[this.#index].setAttribute("tabindex", "-1");
      buttons[index].removeAttribute("tabindex");
    }
    this.#index = index;
    buttons[index].focus();
  }
}
