// The curve of a message over time, and the same as a table.
import { fill, h, svg } from "../../lib/dom.js";
import { number, time } from "../../lib/format.js";
import { t } from "./words.js";

const NARROWEST = 240;
const HEIGHT = 200;
const LEFT = 44;
const BOTTOM = 26;
const TOP = 10;
const LINES = ["arrived", "unconfirmed", "lost"];
const COLUMNS = [...LINES, "waiting"];

export class Curve {
  constructor(timeZone) {
    this.timeZone = timeZone;
    this.plot = svg("svg", { class: "curve", height: HEIGHT, role: "img" });
    // Drawn anew in its own width, so that its words keep their size.
    this.watcher = new ResizeObserver(() => this.data && this.#draw());
    this.watcher.observe(this.plot);
    this.rows = h("tbody", {});
    const head = h("tr", {}, h("th", { scope: "col" }, t("hour")), COLUMNS.map((name) => h("th", { scope: "col", class: "right" }, t(name))));
    this.element = h(
      "div",
      { class: "stack" },
      this.plot,
      h("ul", { class: "pattern-legend" }, LINES.map((name) => h("li", {}, svg("svg", { width: 34, height: 14, "aria-hidden": "true" }, svg("line", { x1: 1, x2: 33, y1: 7, y2: 7, class: `curve-line curve-${name}` })), h("span", {}, t(name))))),
      h("details", { class: "no-print" }, h("summary", {}, t("curve_table")), h("table", { class: "table cards" }, h("caption", { class: "heard" }, t("curve")), h("thead", {}, head), this.rows)),
    );
  }

  show(points, all) {
    const text = JSON.stringify([points, all]);
    if (text === this.known) return;
    this.known = text;
    this.data = { points, all };
    this.#draw();
  }

  stop() {
    this.watcher.disconnect();
  }

  #draw() {
    const { points, all } = this.data;
    const width = Math.max(NARROWEST, Math.round(this.plot.getBoundingClientRect().width) || 640);
    this.plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const first = points[0].at;
    const last = points.at(-1);
    const span = Math.max(1, last.at - first);
    const x = (at) => LEFT + ((at - first) / span) * (width - LEFT - 12);
    const y = (count) => HEIGHT - BOTTOM - (count / all) * (HEIGHT - BOTTOM - TOP);
    const withSeconds = span < 10 * 60_000;
    const clock = (at) => time(at, { seconds: withSeconds, timeZone: this.timeZone });
    this.plot.setAttribute("aria-label", t("curve_label", last.arrived, all, clock(last.at)));
    const levels = [...new Set([0, Math.round(all / 2), all])];
    fill(
      this.plot,
      levels.map((level) => [
        svg("line", { x1: LEFT, x2: width - 12, y1: y(level), y2: y(level), class: "curve-grid" }),
        svg("text", { x: LEFT - 6, y: y(level) + 4, "text-anchor": "end", class: "curve-text" }, number(level)),
      ]),
      svg("text", { x: LEFT, y: HEIGHT - 6, class: "curve-text" }, clock(first)),
      svg("text", { x: width - 12, y: HEIGHT - 6, "text-anchor": "end", class: "curve-text" }, clock(last.at)),
      LINES.filter((name) => points.some((point) => point[name] > 0)).map((name) => svg("polyline", { points: points.map((point) => `${x(point.at).toFixed(1)},${y(point[name]).toFixed(1)}`).join(" "), class: `curve-line curve-${name}` })),
      (last.arrived > 0 ? points : []).map((point) => svg("circle", { cx: x(point.at).toFixed(1), cy: y(point.arrived).toFixed(1), r: 3.5, class: "curve-dot" })),
    );
    fill(this.rows, points.map((point) => h("tr", {}, h("th", { scope: "row" }, clock(point.at)), COLUMNS.map((name) => h("td", { class: "right", "data-label": t(name) }, number(point[name]))))));
  }
}
