// What moved a zone's credits: by day of the school's clocks and by kind, page by page, and the same as a file.
import { NoAnswer, Problem } from "../../lib/api.js";
import { beginOf, dayAfter } from "../../lib/days.js";
import { fill, h } from "../../lib/dom.js";
import { downloadAll } from "../../lib/files.js";
import { moment, number } from "../../lib/format.js";
import { actionButton, errorNote, moreOf } from "../../lib/say.js";
import { language } from "../../lib/words.js";
import { t } from "./words.js";

const PAGE = 20;
const KINDS = ["purchase", "hold", "close"];
const FIRST_DAY = "2000-01-01";
const LAST_DAY = "2099-12-31";

export class Statement {
  /** `zones`: those the school has credits of. */
  constructor(api, zones, timeZone) {
    this.api = api;
    this.timeZone = timeZone;
    const change = () => this.read();
    this.zone = h("select", { class: "input", id: "statement-zone", onChange: change }, zones.map((zone) => h("option", { value: zone }, t(zone))));
    this.from = date("from", change);
    this.to = date("to", change);
    this.kind = h("select", { class: "input", id: "statement-kind", onChange: change }, h("option", { value: "" }, t("every_kind")), KINDS.map((kind) => h("option", { value: kind }, t(kind))));
    this.clear = h("button", { type: "button", class: "button", hidden: true, onClick: () => this.#clear() }, t("clear"));
    this.status = h("p", { class: "small soft statement-status", role: "status" });
    this.said = h("p", { class: "small soft", role: "status" });
    this.trouble = h("div", { class: "stack" });
    this.place = h("div", { class: "stack" });
    this.element = h(
      "div",
      { class: "stack" },
      h(
        "div",
        { class: "statement-filters", role: "group", "aria-labelledby": "statement" },
        h("div", { class: "field", hidden: zones.length < 2 }, h("label", { for: "statement-zone" }, t("zone")), this.zone),
        this.from.field,
        this.to.field,
        h("div", { class: "field" }, h("label", { for: "statement-kind" }, t("kind")), this.kind),
      ),
      h("p", { class: "small soft", id: "statement-clocks" }, t("clocks", timeZone)),
      h("div", { class: "row" }, actionButton(t("csv"), () => this.#download(), { iconName: "download" }), this.clear, this.said),
      this.trouble,
      this.status,
      this.place,
    );
  }

  stop() {
    this.asked?.abort();
  }

  /** Reads the first page of what is asked for; what was shown stays until it is there. */
  async read() {
    const query = this.#query();
    this.clear.hidden = !(this.from.value || this.to.value || this.kind.value);
    if (query === null) return;
    this.asked?.abort(); // of two questions the later one counts, in whatever order their answers come
    const asked = new AbortController();
    this.asked = asked;
    this.place.setAttribute("aria-busy", "true");
    this.status.textContent = t("loading");
    try {
      const first = await this.#page(query, null, asked.signal);
      if (this.asked === asked) this.#show(query, first);
    } catch (error) {
      if (asked.signal.aborted) return;
      this.status.textContent = "";
      fill(this.place, errorNote(error, { retry: () => this.read() }));
    } finally {
      if (this.asked === asked) this.place.removeAttribute("aria-busy");
    }
  }

  #page(query, cursor, signal) {
    return this.api.get("/credits/statement", { ...query, limit: PAGE, cursor }, { signal });
  }

  /** What is asked of the API; null if a date is none, which is said at it. */
  #query() {
    const { from, to } = this;
    from.say(from.isGood() ? "" : t("bad_date"));
    to.say(!to.isGood() ? t("bad_date") : from.isGood() && from.value && to.value && to.value < from.value ? t("bad_order") : "");
    if (from.problem || to.problem) return null;
    return {
      zone: this.zone.value,
      from: from.value && beginOf(from.value, this.timeZone),
      to: to.value && beginOf(dayAfter(to.value), this.timeZone), // the API's end is not included, this day is
      kind: this.kind.value,
      lang: language,
    };
  }

  #show(query, first) {
    const body = h("tbody", {});
    const put = (found) => {
      body.append(...found.entries.map((one) => movement(one, this.timeZone)));
      this.status.textContent = body.children.length > 0 ? t("shown", body.children.length, found.next !== null) : "";
    };
    put(first);
    const foot = moreOf(t("more"), first.next, (next) => this.#page(query, next), put);
    if (first.entries.length === 0 && first.next === null) {
      fill(this.place, h("p", { class: "empty", role: "status" }, t(this.clear.hidden ? "nothing" : "nothing_so")));
      return;
    }
    fill(
      this.place,
      h(
        "table",
        { class: "table cards" },
        h("caption", { class: "heard" }, `${t("statement")}: ${t(query.zone)}`),
        h("thead", {}, h("tr", {}, ["when", "what"].map((name) => h("th", { scope: "col" }, t(name))), h("th", { scope: "col", class: "right" }, t("change")))),
        body,
      ),
      foot,
    );
  }

  #clear() {
    for (const one of [this.from, this.to]) one.clear();
    this.kind.value = "";
    this.kind.focus(); // the button goes
    return this.read();
  }

  async #download() {
    fill(this.trouble);
    const query = this.#query();
    if (query === null) {
      (this.from.problem ? this.from : this.to).input.focus();
      return;
    }
    try {
      const parts = await downloadAll(this.api, "/credits/statement.csv", query, fileName(query.zone, this.from.value, this.to.value), (part) => (this.said.textContent = t("csv_part", part)));
      this.said.textContent = t("csv_done", parts);
    } catch (error) {
      if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
      this.said.textContent = "";
      fill(this.trouble, errorNote(error), h("p", { class: "wrong" }, t("csv_broken")));
    }
  }
}

const fileName = (zone, from, to) => ["recado", t("statement").toLowerCase(), t(zone).toLowerCase(), from, to].filter(Boolean).join("-");

function date(name, onChange) {
  const id = `statement-${name}`;
  const problem = h("p", { class: "wrong", id: `${id}-problem`, role: "alert", hidden: true });
  const input = h("input", { class: "input", type: "date", id, min: FIRST_DAY, max: LAST_DAY, "aria-describedby": `${id}-problem statement-clocks`, onChange });
  return {
    input,
    field: h("div", { class: "field" }, h("label", { for: id }, t(name)), input, problem),
    get value() {
      return input.value;
    },
    get problem() {
      return problem.textContent;
    },
    isGood: () => input.validity.valid,
    clear: () => (input.value = ""),
    say(words) {
      input.setAttribute("aria-invalid", String(Boolean(words)));
      problem.hidden = !words;
      if (problem.textContent !== words) problem.textContent = words;
    },
  };
}

function movement(one, timeZone) {
  const what = one.message_id ? h("a", { href: `#/messages/${one.message_id}` }, one.explanation) : one.explanation;
  return h("tr", {}, h("td", { "data-label": t("when"), class: "tabular" }, moment(one.at, timeZone)), h("td", { "data-label": t("what") }, what), h("td", { "data-label": t("change"), class: "right tabular" }, signed(one.available)));
}

function signed(value) {
  return value > 0 ? `+${number(value)}` : number(value);
}
