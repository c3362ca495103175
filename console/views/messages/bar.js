// The stacked bar of a message: each state has a pattern, a colour and, in the legend, words and a number.
import { fill, h, svg } from "../../lib/dom.js";
import { number } from "../../lib/format.js";
import { pattern, patternedPart, swatch } from "../../lib/patterns.js";
import { STATES } from "./figures.js";
import { t } from "./words.js";

const HEIGHT = 32;
// How each pattern is drawn on a square of 8 by 8; the colour comes from its class.
const DRAWN = {
  delivered: null,
  in_inbox: ["M0 2h8M0 6h8", 2],
  sent: ["M-2 2l4-4M0 8l8-8M6 10l4-4", 2],
  sending: ["M2 2h.1M6 6h.1", 3],
  queued: ["M4 4h.1", 2],
  unknown: ["M2 2h.1M6 6h.1M2 6h.1M6 2h.1", 2],
  unreachable: ["M-2 6l4 4M0 0l8 8M6-2l4 4", 2],
  wrong_number: ["M0 0l8 8M8 0L0 8", 1.6],
  blocked: ["M2 0v8M6 0v8", 2],
  expired: ["M0 4h8M4 0v8", 1.4],
  not_sent: ["M0 4h8", 2],
  stopped: ["M4 0v8", 3],
  opted_out: ["M0 4h4v4M4 0h4v4", 2],
};

export class Bar {
  constructor() {
    this.plot = svg("svg", { class: "pattern-bar", height: HEIGHT, role: "img" });
    this.shapes = svg("g", {});
    this.plot.append(svg("defs", {}, STATES.map((state) => pattern(idOf(state), DRAWN[state]))), this.shapes);
    this.legend = h("ul", { class: "pattern-legend" });
    this.element = h("div", { class: "stack" }, this.plot, this.legend);
    this.known = "";
  }

  /** Shows these counts. Where they are the same as before nothing is touched. */
  show(counts) {
    const text = JSON.stringify(counts);
    if (text === this.known) return;
    this.known = text;
    const there = STATES.filter((state) => counts[state] > 0);
    const all = there.reduce((sum, state) => sum + counts[state], 0);
    this.plot.setAttribute("aria-label", t("bar_label", there.map((state) => `${t(state)}: ${number(counts[state])}`).join("; ")));
    let at = 0;
    fill(
      this.shapes,
      there.map((state) => {
        const share = (counts[state] / all) * 100;
        const shape = patternedPart(idOf(state), at, share, HEIGHT);
        at += share;
        return shape;
      }),
    );
    fill(this.legend, there.map((state) => h("li", {}, swatch(idOf(state)), h("span", {}, t(state)), h("strong", { class: "tabular" }, number(counts[state])))));
  }
}

const idOf = (state) => `state-${state}`;
