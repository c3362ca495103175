// Whom a message is for and what became of each: filtered by the API, searched here among what was read.
import { fill, h, icon } from "../../lib/dom.js";
import { moment, phone } from "../../lib/format.js";
import { actionButton, errorNote } from "../../lib/say.js";
import { language } from "../../lib/words.js";
import { folded, STATES } from "./figures.js";
import { Lines, LINES_MAX } from "./lines.js";
import { KNOWN, t } from "./words.js";

const PAGE = 50;
const TYPING_MS = 300;
const LONG = 100; // more than a request's worth is not read again at each turn
const LONG_MS = 10_000;
const REASONS = ["no_number", "unusable_number", "no_international_bag", "duplicate_of"];
const RED = ["unreachable", "wrong_number", "blocked", "expired", "not_sent", "stopped", "opted_out", "no_number", "unusable_number", "no_international_bag"];

export class Recipients {
  constructor(api, message) {
    this.message = message;
    this.lines = new Lines(api, message.id, language);
    this.shown = "";
    this.renewedAt = 0;
    this.select = h("select", { class: "input", id: "recipients-state", onChange: () => this.#filter() });
    this.search = h("input", { class: "input", id: "recipients-search", type: "search", autocomplete: "off", maxlength: 80, onInput: () => this.#typed() });
    this.status = h("p", { class: "soft small recipients-status", role: "status" });
    this.rows = h("tbody", {});
    this.place = h("div", {});
    this.table = h(
      "table",
      { class: "table cards" },
      h("caption", { class: "heard" }, t("recipients")),
      h("thead", {}, h("tr", {}, ["name", "phone", "state", "reason"].map((name) => h("th", { scope: "col" }, t(name))))),
      this.rows,
    );
    this.moreButton = actionButton(t("more"), () => this.#more());
    this.moreButton.hidden = true;
    this.element = h(
      "section",
      { class: "panel stack no-print", "aria-labelledby": "recipients-title" },
      h("h2", { id: "recipients-title" }, t("recipients")),
      h(
        "div",
        { class: "recipients-controls" },
        h("div", { class: "field" }, h("label", { for: "recipients-state" }, t("state")), this.select),
        h("div", { class: "field" }, h("label", { for: "recipients-search" }, t("search")), this.search),
      ),
      this.status,
      this.place,
      h("div", { class: "row" }, this.moreButton),
    );
    this.choices(message);
  }

  stop() {
    clearTimeout(this.timer);
    this.asked?.abort();
  }

  /** Reads the first of them. */
  begin() {
    return this.#read(PAGE);
  }

  /** The message has other figures: what is shown is read again in its place. Says whether it was; a long list waits a while. */
  async renew(message, signal) {
    this.choices(message);
    if (!this.lines.isBegun) return true; // what is being read is as new
    const count = this.lines.found.length;
    if (this.isReading || (count > LONG && Date.now() - this.renewedAt < LONG_MS)) return false;
    const before = this.lines;
    const again = new Lines(before.api, this.message.id, language);
    again.clear(before.state);
    await again.more(Math.max(count, PAGE), { signal });
    if (this.lines !== before || this.isReading || before.state !== again.state) return false; // somebody asked for something else meanwhile
    this.renewedAt = Date.now();
    this.lines = again;
    this.#show();
    return true;
  }

  choices(message) {
    this.message = message;
    const counts = { ...message.counts };
    for (const [reason, count] of Object.entries(message.skipped)) counts[reason] = (counts[reason] ?? 0) + count;
    const there = [...STATES, ...REASONS].filter((state) => counts[state] > 0 || state === this.lines.state);
    const text = JSON.stringify(there.map((state) => [state, counts[state]]));
    if (text === this.chosen || document.activeElement === this.select) return; // an open list is left alone
    this.chosen = text;
    fill(
      this.select,
      h("option", { value: "" }, t("all_states")),
      there.map((state) => h("option", { value: state }, `${t(state)} (${counts[state] ?? 0})`)),
    );
    this.select.value = this.lines.state ?? "";
  }

  #filter() {
    this.lines.clear(this.select.value || null);
    return this.search.value.trim() ? this.#read(LINES_MAX) : this.#read(PAGE);
  }

  #typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.search.value.trim() && this.lines.hasMore ? this.#read(LINES_MAX) : this.#show()), TYPING_MS);
  }

  #more() {
    return this.#read(PAGE);
  }

  async #read(count) {
    this.asked?.abort();
    const asked = new AbortController();
    this.asked = asked;
    this.isReading = true;
    this.place.setAttribute("aria-busy", "true");
    this.status.textContent = t("searching", this.lines.found.length);
    try {
      await this.lines.more(count, { signal: asked.signal, onPage: (looked) => (this.status.textContent = t("searching", looked)) });
      if (this.asked === asked) this.#show();
    } catch (error) {
      if (asked.signal.aborted) return;
      this.status.textContent = "";
      const again = () => {
        trouble.remove();
        return this.#read(count);
      };
      const trouble = errorNote(error, { known: KNOWN, retry: again });
      this.place.querySelector(":scope > .note")?.remove();
      this.place.prepend(trouble);
    } finally {
      if (this.asked === asked) {
        this.isReading = false;
        this.place.removeAttribute("aria-busy");
      }
    }
  }

  #show() {
    const wanted = folded(this.search.value.trim());
    const digits = wanted.replaceAll(/\D/g, "");
    const fits = (line) => line.people.some((one) => folded(one.name || one.id).includes(wanted)) || (digits.length > 2 && (line.number ?? "").includes(digits));
    const found = wanted ? this.lines.found.filter(fits) : this.lines.found;
    const isAll = !this.lines.hasMore;
    const text = JSON.stringify(found);
    if (text !== this.shown || !this.place.hasChildNodes()) {
      this.shown = text;
      fill(this.rows, found.map((line) => this.#row(line)));
      fill(this.place, found.length ? this.table : h("p", { class: "empty" }, t(wanted ? "nobody_found" : "no_recipients")));
    }
    const said = !wanted ? t("shown", found.length) : isAll ? t("found", found.length) : t("found_so_far", found.length, this.lines.found.length);
    if (this.status.textContent !== said) this.status.textContent = said;
    this.moreButton.hidden = isAll || this.lines.found.length >= LINES_MAX;
    this.moreButton.lastElementChild.textContent = t(wanted ? "look_on" : "more");
  }

  #row(line) {
    const isBad = RED.includes(line.state);
    const kind = line.state === "delivered" || line.state === "in_inbox" ? "good" : isBad ? "bad" : line.state === "unknown" ? "warn" : "";
    return h(
      "tr",
      {},
      h("td", {}, h("strong", {}, namesOf(line))),
      h("td", {}, numberOf(line)),
      h("td", {}, h("span", { class: `tag ${kind}` }, icon(kind === "good" ? "done" : kind === "bad" ? "warning" : "clock"), t(line.state))),
      h(
        "td",
        { class: "small" },
        line.meaning,
        isBad && line.advice && h("span", { class: "soft" }, ` ${line.advice}`),
        line.code && h("span", { class: "soft" }, ` (${line.code})`),
        line.reported_at && h("span", { class: "soft" }, ` · ${t("reported", moment(line.reported_at, this.message.time_zone))}`),
      ),
    );
  }
}

export const namesOf = (line) => line.people.map((one) => one.name || t("gone")).join(", ");

/** A number; of whoever receives no SMS in red, with an icon and words (L9). */
export function numberOf(line) {
  if (!line.is_red) return line.number ? h("span", { class: "tabular number" }, phone(line.number)) : h("span", { class: "soft" }, "—");
  return h("span", { class: "red-number" }, icon("blocked"), " ", line.number && h("span", { class: "number" }, phone(line.number)), h("span", { class: "small" }, ` ${t("no_sms")}`));
}
