// What will happen: what it costs per zone, what is left, and everybody of the audience by what becomes of them (L9, L11, L13).
import { fill, h, icon } from "../../lib/dom.js";
import { number, phone } from "../../lib/format.js";
import { errorNote, load, note, redNumber } from "../../lib/say.js";
import { goesBySms } from "./state.js";
import { t } from "./words.js";

export const PAGE = 20;
const ORDER = ["sendable", "inbox_only", "duplicate_of", "opted_out", "no_number", "unusable_number", "no_international_bag"];
const REACHED = ["sendable", "inbox_only", "duplicate_of"];

/** What it costs and what is left, per zone; `held`: what the message itself has held already. */
export function zonesOf(estimate, held = {}) {
  return Object.entries(estimate.balance).map(([zone, { before }]) => {
    const cost = estimate.credits[zone] ?? 0;
    const there = before + (held[zone] ?? 0);
    return { zone, before: there, cost, after: there - cost };
  });
}

export const costOf = (estimate) => Object.values(estimate.credits).reduce((sum, one) => sum + one, 0);
export const lackingOf = (zones) => zones.reduce((sum, { after }) => sum + Math.max(0, -after), 0);
export const skippedOf = (estimate) => ORDER.filter((one) => !REACHED.includes(one)).reduce((sum, one) => sum + (estimate.by_state[one] ?? 0), 0);

export class Result {
  /** `askPage(state, cursor)`: another page of the same estimate's people; `toInbox`: sends it the free way. */
  constructor(context, { askPage, toInbox }) {
    this.go = context.go;
    this.askPage = askPage;
    this.toInbox = toInbox;
    this.said = h("p", { class: "heard", role: "status" });
    this.body = h("div", { class: "stack result-body" });
    this.element = h("section", { class: "panel stack", "aria-labelledby": "result-title" }, h("h2", { id: "result-title" }, t("result")), this.said, this.body);
  }

  showMissing(names) {
    this.#say("");
    this.body.removeAttribute("aria-busy");
    fill(this.body, h("div", { class: "soft" }, h("p", {}, t("missing")), h("ul", { class: "bullets" }, names.map((name) => h("li", {}, t(name))))));
  }

  /** What stood there stays, greyed, until the new is there. */
  showBusy() {
    this.body.setAttribute("aria-busy", "true");
    if (!this.body.querySelector(".figures, progress")) fill(this.body, h("p", { class: "soft" }, t("counting")));
  }

  showProgress({ people, expected }) {
    this.body.removeAttribute("aria-busy");
    const words = t("counting_large", people, Math.max(people, expected));
    this.#say(words);
    fill(this.body, h("p", {}, words), h("progress", { "aria-label": t("counting"), max: Math.max(people, expected, 1), value: people }));
  }

  showError(error, known, retry) {
    this.#say("");
    this.body.removeAttribute("aria-busy");
    fill(this.body, errorNote(error, { known, retry }));
  }

  showNote(kind, ...children) {
    this.body.removeAttribute("aria-busy");
    fill(this.body, note(kind, ...children));
  }

  show(estimate, state, held) {
    this.body.removeAttribute("aria-busy");
    this.estimate = estimate;
    const zones = zonesOf(estimate, held);
    const cost = costOf(estimate);
    this.#say(t("counted", estimate.people, cost));
    fill(
      this.body,
      figures(estimate, state, zones, cost),
      this.#lacking(zones, state),
      goesBySms(state) && this.#zones(zones, held),
      this.#people(estimate),
    );
  }

  #say(words) {
    if (this.said.textContent !== words) this.said.textContent = words;
  }

  #lacking(zones, state) {
    const lacking = lackingOf(zones);
    if (!goesBySms(state) || lacking === 0) return null;
    const hasNone = zones.every(({ before }) => before === 0);
    const free = h("button", { type: "button", class: "button" }, icon("inbox"), t("to_inbox"));
    free.addEventListener("click", this.toInbox);
    const buy = h("a", { class: "button", href: "#/credits" }, icon("credits"), t("buy"));
    return note("bad", h("p", {}, t(hasNone ? "no_bag" : "lacking", lacking)), h("div", { class: "row" }, free, buy));
  }

  #zones(zones, held) {
    return [
      h(
        "table",
        { class: "table zones" },
        h("caption", { class: "heard" }, t("balance")),
        h("thead", {}, h("tr", {}, [t("zone"), t("before"), t("cost"), t("after")].map((one, at) => h("th", { scope: "col", class: at ? "right" : null }, one)))),
        h("tbody", {}, zones.map(({ zone, before, cost, after }) => h("tr", {}, h("th", { scope: "row" }, t(zone)), [before, cost, after].map((one) => h("td", { class: `right ${one < 0 ? "wrong" : ""}` }, number(one)))))),
      ),
      Object.keys(held).length > 0 && h("p", { class: "small soft" }, t("held_own")),
    ];
  }

  #people(estimate) {
    const place = h("div", { class: "stack" });
    const states = ORDER.filter((one) => estimate.by_state[one]);
    const choose = (state) => {
      for (const [name, button] of buttons) button.setAttribute("aria-pressed", String(name === state));
      this.#list(place, state, 0);
    };
    const buttons = [null, ...states].map((state) => {
      const count = state === null ? estimate.people : estimate.by_state[state];
      const button = h("button", { type: "button", class: `button filter ${state ?? "all"}`, "aria-pressed": String(state === null) }, state === "opted_out" && icon("blocked"), h("span", {}, t(state ?? "all")), h("strong", { class: "tabular" }, number(count)));
      button.addEventListener("click", () => choose(state));
      return [state, button];
    });
    const bar = h("div", { class: "share", "aria-hidden": "true" }, states.map((state) => h("span", { class: state, style: { width: `${(100 * estimate.by_state[state]) / estimate.people}%` } })));
    fill(place, this.#page(place, estimate, null, 0));
    return [h("h3", {}, t("reach")), bar, h("div", { class: "row filters", role: "group", "aria-label": t("list") }, buttons.map(([, button]) => button)), place];
  }

  #list(place, state, cursor, backs = []) {
    return load(place, () => this.askPage(state, cursor), (page) => this.#page(place, page, state, cursor, backs));
  }

  #page(place, page, state, cursor, backs = []) {
    if (page.recipients.length === 0 && page.next === null) return h("p", { class: "soft" }, t("nobody_here"));
    const names = new Map(page.recipients.map((one) => [one.id, one.name]));
    const move = (label, where, before) => {
      const button = h("button", { type: "button", class: "button" }, label);
      button.addEventListener("click", async () => {
        await this.#list(place, state, where, before);
        (place.querySelector(".recipients") ?? place).focus?.();
      });
      return button;
    };
    return [
      h("ul", { class: "recipients", tabindex: "0", "aria-label": t(state ?? "list") }, page.recipients.map((one) => recipient(one, names))),
      (backs.length > 0 || page.next !== null) && h("div", { class: "row" }, backs.length > 0 && move(t("previous"), backs.at(-1), backs.slice(0, -1)), page.next !== null && move(t("next"), page.next, [...backs, cursor])),
    ];
  }
}

/** The figures at the top: the same in the page and in the dialog that confirms them. */
export function figures(estimate, state, zones, cost) {
  const { text } = estimate;
  const bySms = goesBySms(state);
  const box = (name, value, below) => h("div", { class: "figure-box" }, h("dt", { class: "small soft" }, name), h("dd", {}, h("span", { class: "figure" }, value), below && h("span", { class: "small soft" }, below)));
  return [
    h(
      "dl",
      { class: "figures" },
      box(t("people"), number(estimate.people)),
      bySms && box(t("sms"), number(estimate.by_state.sendable ?? 0), text.segments_most > 0 && t("segments_each", text.segments_least, text.segments_most)),
      bySms ? box(t("credits"), number(cost)) : box(t("credits"), number(0), t("credits_free")),
    ),
    estimate.message_centre.copies > 0 && h("p", { class: "with-icon" }, icon("inbox"), h("span", {}, t("copies", estimate.message_centre.copies))),
    Object.values(text.filled).some((one) => one > 0) && h("p", { class: "small soft" }, t("filled", Math.max(...Object.values(text.filled)))),
  ];
}

function recipient(one, names) {
  const isReached = REACHED.includes(one.state);
  const said = one.number ? phone(one.number) : one.typed_number;
  const shown = one.is_red
    ? redNumber(said, t("no_sms"))
    : said && h("span", { class: isReached ? "tabular" : "skipped tabular" }, said);
  const reason = one.state === "duplicate_of" && names.has(one.duplicate_of) ? t("shared_with", names.get(one.duplicate_of)) : one.meaning;
  return h(
    "li",
    { class: isReached ? "" : "skipped-person" },
    h("span", { class: "name" }, one.name),
    shown,
    one.state !== "sendable" && h("span", { class: "small reason" }, reason, one.has_copy && one.state !== "inbox_only" && ` ${t("copy_too")}`),
  );
}
