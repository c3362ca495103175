// A message's texts by state: a stacked bar with its legend, and a curve over time with its table.
import { h, svg } from "../../lib/dom.js";
import { number, time } from "../../lib/format.js";
import { ORDER, progressOf, t } from "./words.js";

const WIDTH = 600;
const HEIGHT = 160;

/** Each state's share, and beside it in words and figures: nothing is said by colour alone. */
export function stackedBar(counts) {
  const { all } = progressOf(counts);
  const shown = ORDER.filter((state) => counts[state]);
  return h(
    "div",
    { class: "stack" },
    h("div", { class: "states", "aria-hidden": "true" }, shown.map((state) => h("span", { class: `state-${state}`, style: { width: `${(100 * counts[state]) / all}%` } }))),
    h(
      "ul",
      { class: "row legend" },
      shown.map((state) => h("li", {}, h("span", { class: `swatch state-${state}`, "aria-hidden": "true" }), h("strong", { class: "tabular" }, number(counts[state])), " ", t(`r_${state}`))),
    ),
  );
}

/** How many had a result, and how many had arrived, over time. */
export function curve(points, timeZone) {
  if (points.length < 2) return null;
  const rows = points.map((point) => ({ at: point.at, done: progressOf(point.counts).done, arrived: point.counts.delivered ?? 0 }));
  const first = Date.parse(rows[0].at);
  const span = Math.max(1, Date.parse(rows.at(-1).at) - first);
  const most = Math.max(1, ...rows.map((row) => row.done));
  const line = (value) => rows.map((row) => `${((Date.parse(row.at) - first) / span) * WIDTH},${HEIGHT - (value(row) / most) * (HEIGHT - 8)}`).join(" ");
  return h(
    "figure",
    { class: "stack" },
    svg(
      "svg",
      { viewBox: `-4 -4 ${WIDTH + 8} ${HEIGHT + 8}`, class: "curve", role: "img", "aria-label": t("curve_said", rows.length), preserveAspectRatio: "none" },
      svg("polyline", { points: line((row) => row.done), class: "curve-done" }),
      svg("polyline", { points: line((row) => row.arrived), class: "curve-arrived" }),
    ),
    h(
      "details",
      {},
      h("summary", {}, t("curve_table")),
      h(
        "table",
        { class: "table" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("time")), h("th", { scope: "col", class: "right" }, t("progress")), h("th", { scope: "col", class: "right" }, t("r_delivered")))),
        h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row" }, time(row.at, { seconds: true, timeZone })), h("td", { class: "right" }, number(row.done)), h("td", { class: "right" }, number(row.arrived))))),
      ),
    ),
  );
}
