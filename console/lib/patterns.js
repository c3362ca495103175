// Parts of a bar that are told apart without colour: each has a pattern, a colour of its class and, in a legend, words.
import { svg } from "./dom.js";

/** Put it into the `defs` of an SVG. `drawn`: [path on a square of 8 by 8, width of the line], or null for a full one. The class has the id's name. */
export function pattern(id, drawn) {
  return svg(
    "pattern",
    { id, width: 8, height: 8, patternUnits: "userSpaceOnUse", class: id },
    svg("rect", { width: 8, height: 8, class: drawn ? "pattern-ground" : "pattern-full" }),
    drawn && svg("path", { d: drawn[0], "stroke-width": drawn[1], class: "pattern-line" }),
  );
}

/** A part of a bar of this height, from `at` on; both in percent. */
export function patternedPart(id, at, width, height) {
  return svg("rect", { x: `${at}%`, y: 1, width: `${width}%`, height: height - 2, fill: `url(#${id})`, class: "pattern-part" });
}

/** What it looks like, beside its words. */
export function swatch(id) {
  return svg("svg", { width: 22, height: 16, "aria-hidden": "true" }, svg("rect", { x: 0.5, y: 0.5, width: 21, height: 15, fill: `url(#${id})`, class: "pattern-part" }));
}
