// People by what becomes of them, as a bar and, beside it, as a table: each change has a pattern, a colour and words.
import { fill, h, svg } from "../../../lib/dom.js";
import { number } from "../../../lib/format.js";
import { pattern, patternedPart, swatch } from "../../../lib/patterns.js";
import { CHANGES, KIND_NAMES, PEOPLE } from "./states.js";
import { t } from "./words.js";

const HEIGHT = 28;
const LEAST = 1.5; // percent: who is there at all is seen
// How each pattern is drawn on a square of 8 by 8; the colour comes from its class.
const DRAWN = { new: null, changed: ["M-2 2l4-4M0 8l8-8M6 10l4-4", 2], unchanged: ["M4 4h.1", 2], gone: ["M0 0l8 8M8 0L0 8", 2] };

export class Summary {
  constructor() {
    this.shapes = svg("g", {});
    this.plot = svg("svg", { class: "pattern-bar", height: HEIGHT, role: "img" }, svg("defs", {}, CHANGES.map((change) => pattern(idOf(change), DRAWN[change]))), this.shapes);
    this.legend = h("ul", { class: "pattern-legend" });
    this.body = h("tbody", {});
    this.element = h(
      "div",
      { class: "stack" },
      h("div", { class: "stack" }, this.plot, this.legend),
      h(
        "table",
        { class: "table cards import-counts" },
        h("caption", { class: "heard" }, t("summary")),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("kind")), CHANGES.map((change) => h("th", { scope: "col", class: "right" }, t(change))))),
        this.body,
      ),
    );
  }

  show({ counts, kinds }) {
    const there = CHANGES.filter((change) => counts[change] > 0);
    this.plot.setAttribute("aria-label", t("people_bar", there.map((change) => `${t(change)}: ${number(counts[change])}`).join("; ")));
    fill(this.shapes, partsOf(counts, there));
    fill(this.legend, CHANGES.map((change) => h("li", {}, swatch(idOf(change)), h("span", {}, t(change)), h("strong", { class: "tabular" }, number(counts[change])))));
    const rows = KIND_NAMES.map((kind) => row(t(kind), kinds[kind]));
    rows.splice(PEOPLE.length, 0, row(t("people"), counts, "import-all"));
    fill(this.body, rows);
  }
}

function partsOf(counts, there) {
  const all = there.reduce((sum, change) => sum + counts[change], 0);
  const shares = there.map((change) => Math.max(LEAST, (counts[change] / all) * 100));
  const sum = shares.reduce((one, other) => one + other, 0);
  let at = 0;
  return there.map((change, place) => {
    const width = (shares[place] / sum) * 100;
    const part = patternedPart(idOf(change), at, width, HEIGHT);
    at += width;
    return part;
  });
}

function row(name, counts, kind = "") {
  return h("tr", { class: kind }, h("th", { scope: "row" }, name), CHANGES.map((change) => h("td", { class: "right", "data-label": t(change) }, number(counts[change]))));
}

const idOf = (change) => `import-${change}`;
