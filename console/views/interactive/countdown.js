// Until when the session lives, and the key that makes it longer (C7, WCAG 2.2.1). It takes the same room warning and not.
import { h, icon, svg } from "../../lib/dom.js";
import { countdown } from "../../lib/format.js";
import { t } from "./words.js";

export const WARN_SECONDS = 60;
const WARN_AGAIN_SECONDS = 20;
export const EXTEND_KEY = "F2"; // no character, so it is free while one writes (WCAG 2.1.4)

export class Countdown {
  #text = h("p", { class: "tabular", role: "timer", "aria-live": "off" });
  #icons = h("span", { "aria-hidden": "true" });
  #bar = svg("rect", { x: 0, y: 0, width: 100, height: 4 });
  #warned = Infinity; // the seconds at which it was said last

  constructor({ minutes, extend, end, warn }) {
    this.warn = warn;
    this.minutes = minutes;
    this.extendButton = h(
      "button",
      { type: "button", class: "button extend", "aria-keyshortcuts": EXTEND_KEY, onClick: extend },
      icon("plus"),
      h("span", {}, t("extend", minutes), " ", h("span", { class: "key" }, `(${t("key")})`)),
    );
    this.#icons.append(icon("clock"), icon("warning"));
    this.element = h(
      "div",
      { class: "countdown" },
      h("div", { class: "row until" }, this.#icons, this.#text),
      svg("svg", { viewBox: "0 0 100 4", preserveAspectRatio: "none", class: "run", "aria-hidden": "true" }, this.#bar),
      h("div", { class: "row" }, this.extendButton, h("button", { type: "button", class: "button danger", onClick: end }, icon("stop"), t("end_now"))),
    );
  }

  /** What is left, in seconds. */
  show(seconds) {
    const isSoon = seconds <= WARN_SECONDS;
    this.element.classList.toggle("soon", isSoon);
    this.#text.textContent = t(isSoon ? "ends_soon" : "ends_in", countdown(seconds));
    this.#bar.setAttribute("width", String(Math.max(0, Math.min(100, (seconds / (this.minutes * 60)) * 100))));
    if (!isSoon) {
      this.#warned = Infinity;
      return;
    }
    const at = [WARN_AGAIN_SECONDS, WARN_SECONDS].find((moment) => seconds <= moment);
    if (at >= this.#warned) return;
    this.#warned = at;
    this.warn(Math.ceil(seconds));
  }
}
