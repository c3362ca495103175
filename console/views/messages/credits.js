// What a message cost: held, charged and given back per bag, and each movement.
import { h } from "../../lib/dom.js";
import { moment, number } from "../../lib/format.js";
import { load } from "../../lib/say.js";
import { language } from "../../lib/words.js";
import { t } from "./words.js";

export class Credits {
  constructor(api, message) {
    this.api = api;
    this.id = message.id;
    this.timeZone = message.time_zone;
    this.place = h("div", { class: "stack" });
    this.element = h("section", { class: "panel stack credits-of", "aria-labelledby": "credits-title" }, h("h2", { id: "credits-title" }, t("credits")), this.place);
  }

  /** Read again when the message has another state: only then its money moves. */
  show(message) {
    const state = `${message.state} ${message.revision}`;
    if (state === this.state) return undefined;
    this.state = state;
    return load(this.place, () => this.api.get(`/messages/${this.id}/statement`, { lang: language }), (found) => this.#made(found));
  }

  #made(found) {
    const zones = [...new Set([found.held, found.captured, found.released].flatMap(Object.keys))];
    if (!zones.length) return h("p", { class: "soft" }, t("no_credits"));
    const head = (names) => h("thead", {}, h("tr", {}, names.map((name, index) => h("th", { scope: "col", class: index && name !== "movement" ? "right" : null }, t(name)))));
    return [
      h(
        "table",
        { class: "table cards" },
        h("caption", { class: "heard" }, t("credits")),
        head(["zone", "held", "captured", "given_back"]),
        h("tbody", {}, zones.map((zone) => h("tr", {}, h("th", { scope: "row" }, t(zone)), Object.entries({ held: found.held, captured: found.captured, given_back: found.released }).map(([name, figures]) => h("td", { class: "right", "data-label": t(name) }, number(figures[zone] ?? 0)))))),
      ),
      h(
        "details",
        { class: "no-print" },
        h("summary", {}, t("credits_movements")),
        h("ul", { class: "stack small movements" }, found.entries.map((one) => h("li", {}, h("p", { class: "soft" }, `${moment(one.at, this.timeZone)} · ${t(one.zone)}`), h("p", {}, one.words || one.cause.split("#")[0]), h("p", { class: "tabular" }, figures(one))))),
      ),
    ];
  }
}

const figures = (one) =>
  ["available", "held", "captured"]
    .filter((name) => one[name])
    .map((name) => `${t(name)} ${one[name] > 0 ? "+" : "−"}${number(Math.abs(one[name]))}`)
    .join(" · ");
