// The box "Aquí recibirás tu respuesta": what was said and answered, by whom and when, in the order in which it was said.
import { fill, h, icon } from "../../lib/dom.js";
import { clockTime, shown } from "./reasons.js";
import { isBefore } from "./session.js";
import { t } from "./words.js";

const TONES = 6;
const NEAR_PX = 80;

export class Box {
  #lines = []; // [{line, element}] as they stand
  #tones = new Map();
  #list = h("ol", { class: "lines" });
  #below = h("button", { type: "button", class: "button small below", onClick: () => this.#toEnd() });

  /** `empty`: what stands here while nothing was said. */
  constructor(empty) {
    this.#below.append(icon("download"), t("new_below"));
    this.#below.hidden = true;
    const scrolled = () => this.#isAtEnd() && (this.#below.hidden = true);
    // A log that is not live: what is new is said by the page, in words of its own.
    this.scroll = h("div", { class: "scroll", tabindex: "0", role: "log", "aria-live": "off", "aria-label": t("conversation"), onScroll: scrolled });
    this.element = h("div", { class: "box" }, this.scroll, this.#below);
    this.setEmpty(empty);
  }

  /** While there is no line: this. */
  setEmpty(empty) {
    if (this.#lines.length === 0) fill(this.scroll, empty);
  }

  /** Puts lines where they belong; one that comes late goes between. */
  add(lines) {
    if (lines.length === 0) return;
    if (this.#lines.length === 0) fill(this.scroll, this.#list);
    const isAtEnd = this.#isAtEnd();
    for (const line of lines) {
      const element = this.#show(line);
      let place = this.#lines.length;
      while (place > 0 && isBefore(this.#lines[place - 1].line, line) > 0) place -= 1;
      this.#list.insertBefore(element, this.#lines[place]?.element ?? null);
      this.#lines.splice(place, 0, { line, element });
    }
    if (isAtEnd || lines.some((line) => line.direction === "out")) this.#toEnd();
    else this.#below.hidden = false;
  }

  #show(line) {
    const isReply = line.direction === "in";
    const who = isReply ? shown(line.number) : t("you");
    return h(
      "li",
      { class: `line ${isReply ? "theirs" : "mine"}` },
      isReply && h("span", { class: `face tone-${this.#tone(line.number)}`, "aria-hidden": "true" }, line.number.slice(-2)),
      h(
        "div",
        { class: "bubble" },
        h("p", { class: "said-by small" }, h("strong", { class: "tabular" }, who), " ", h("time", { datetime: line.at, class: "soft" }, clockTime(line.at))),
        h("p", { class: "text", dir: "auto" }, line.text),
        line.is_partial && h("p", { class: "small" }, h("span", { class: "tag warn" }, icon("warning"), t("partial"))),
      ),
    );
  }

  /** A colour for each handset, beside its number. */
  #tone(number) {
    if (!this.#tones.has(number)) this.#tones.set(number, this.#tones.size % TONES);
    return this.#tones.get(number);
  }

  #isAtEnd() {
    return this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < NEAR_PX;
  }

  #toEnd() {
    this.scroll.scrollTop = this.scroll.scrollHeight;
    this.#below.hidden = true;
  }
}
