// The rows of a roster that were not used: where they are and why, never what they say.
import { NoAnswer, Problem } from "../../../lib/api.js";
import { fill, h } from "../../../lib/dom.js";
import { save } from "../../../lib/files.js";
import { number } from "../../../lib/format.js";
import { actionButton, errorNote, load, moreOf } from "../../../lib/say.js";
import { language } from "../../../lib/words.js";
import { goOnAt } from "./changes.js";
import { has, KNOWN, t } from "./words.js";

const PAGE = 100;
const KEPT = 1000; // BAD_ROWS_KEPT in rules/oneroster.py

export class BadRows {
  constructor(api, id) {
    this.api = api;
    this.id = id;
    this.path = `/imports/${encodeURIComponent(id)}/bad-rows`;
    this.text = h("p", {});
    this.said = h("p", { class: "small soft", role: "status" });
    this.trouble = h("div", { class: "imports-trouble" });
    this.place = h("div", { class: "stack rows-place" });
    this.element = h(
      "section",
      { class: "panel stack", "aria-labelledby": "rows-title" },
      h("h2", { id: "rows-title" }, t("bad_rows")),
      this.text,
      h("div", { class: "row" }, actionButton(t("csv"), () => this.#csv(), { iconName: "download" }), this.said),
      this.trouble,
      this.place,
    );
  }

  show({ bad_rows_count: count }) {
    this.element.hidden = count === 0;
    if (count === 0 || count === this.known) return;
    this.known = count;
    this.place.style.setProperty("--rows", Math.min(count, PAGE)); // the place they will take
    this.text.textContent = [t("bad_rows_text", count), count > KEPT && t("bad_rows_kept", KEPT)].filter(Boolean).join(" ");
    load(this.place, () => this.api.get(this.path), (first) => this.#list(first), { ...KNOWN, not_found: t("kept_no_longer") });
  }

  #list(first) {
    const body = h("tbody", {}, first.bad_rows.map(row));
    const put = (page) => {
      const added = page.bad_rows.map(row);
      body.append(...added);
      goOnAt(added[0]);
    };
    return [
      h(
        "table",
        { class: "table cards" },
        h("caption", { class: "heard" }, t("bad_rows")),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("file")), h("th", { scope: "col", class: "right" }, t("line")), ["column", "reason"].map((name) => h("th", { scope: "col" }, t(name))))),
        body,
      ),
      moreOf(t("more"), first.next, (cursor) => this.api.get(this.path, { cursor }), put),
    ];
  }

  async #csv() {
    fill(this.trouble);
    this.said.textContent = "";
    try {
      const { blob } = await this.api.file(`${this.path}.csv`, { lang: language });
      save(blob, `${this.id}-bad-rows.csv`);
      this.said.textContent = t("csv_done");
    } catch (error) {
      if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
      fill(this.trouble, errorNote(error, { known: { ...KNOWN, not_found: t("kept_no_longer") } }));
    }
  }
}

function row(one) {
  const reason = has(`r_${one.reason}`) ? t(`r_${one.reason}`) : one.reason;
  return h(
    "tr",
    {},
    h("td", { "data-label": t("file") }, one.file),
    h("td", { "data-label": t("line"), class: "right" }, number(one.line)),
    h("td", { "data-label": t("column") }, one.column || t("whole_line")),
    h("td", { "data-label": t("reason") }, reason),
  );
}
