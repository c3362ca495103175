// What an import changes, person by person and group by group: filtered, page by page.
import { fill, h, icon } from "../../../lib/dom.js";
import { phone } from "../../../lib/format.js";
import { errorNote, moreOf } from "../../../lib/say.js";
import { KIND_NAMES, LISTED } from "./states.js";
import { has, KNOWN, t } from "./words.js";

const ONE_OF = { students: "student", guardians: "guardian", staff: "staff_one", groups: "group" };
const TAGS = { new: ["plus", "good"], changed: ["write", ""], gone: ["close", "bad"] };

export class Changes {
  constructor(api, id) {
    this.api = api;
    this.path = `/imports/${encodeURIComponent(id)}/changes`;
    this.kind = choice("changes-kind", KIND_NAMES.map((kind) => [kind, t(kind)]), t("all_kinds"), () => this.#load());
    this.change = choice("changes-change", LISTED.map((change) => [change, t(change)]), t("all_changes"), () => this.#load());
    this.count = h("p", { class: "small soft changes-count", role: "status" });
    this.place = h("div", { class: "stack changes-place" });
    const field = (name, select) => h("div", { class: "field" }, h("label", { for: select.id }, t(name)), select);
    this.element = h(
      "section",
      { class: "panel stack", "aria-labelledby": "changes-title" },
      h("h2", { id: "changes-title" }, t("changes")),
      h("div", { class: "changes-controls" }, field("which_kind", this.kind), field("which_change", this.change)),
      this.count,
      this.place,
    );
  }

  /** Asks for the changes if they are not the ones that are shown. Once it is done, whoever is new has a page of their own. */
  show(one) {
    const known = JSON.stringify([one.kinds, one.state === "done"]);
    this.one = one;
    if (this.known === known) return;
    this.known = known;
    this.#load();
  }

  stop() {
    this.asking?.abort();
  }

  async #load() {
    this.asking?.abort(); // an answer to an older question is nobody's
    const { signal } = (this.asking = new AbortController());
    const asked = { kind: this.kind.value, change: this.change.value };
    this.place.setAttribute("aria-busy", "true");
    try {
      fill(this.place, this.#list(await this.api.get(this.path, asked, { signal }), asked));
    } catch (error) {
      if (signal.aborted) return;
      this.count.textContent = "";
      fill(this.place, errorNote(error, { known: { ...KNOWN, not_found: t("kept_no_longer") }, retry: () => this.#load() }));
    }
    this.place.removeAttribute("aria-busy");
  }

  #list(first, asked) {
    const all = this.#total(asked);
    let shown = first.changes.length;
    this.count.textContent = shown ? t("shown_of", shown, all) : "";
    if (shown === 0) return h("p", { class: "empty" }, t("none_so"));
    const body = h("tbody", {}, first.changes.map((one) => this.#row(one)));
    const put = (page) => {
      const added = page.changes.map((one) => this.#row(one));
      body.append(...added);
      shown += added.length;
      this.count.textContent = t("shown_of", shown, all);
      goOnAt(added[0]);
    };
    const more = moreOf(t("more"), first.next, (cursor) => this.api.get(this.path, { ...asked, cursor }), put);
    return [
      h(
        "table",
        { class: "table cards" },
        h("caption", { class: "heard" }, t("changes")),
        h("thead", {}, h("tr", {}, ["name", "kind", "change", "what"].map((name) => h("th", { scope: "col" }, t(name))))),
        body,
      ),
      more,
    ];
  }

  #total({ kind, change }) {
    const kinds = kind ? [kind] : KIND_NAMES;
    const changes = change ? [change] : LISTED;
    return kinds.reduce((sum, one) => sum + changes.reduce((some, other) => some + this.one.kinds[one][other], 0), 0);
  }

  #row(one) {
    const [iconName, tag] = TAGS[one.change];
    const isThere = one.kind !== "groups" && (one.change === "changed" || (one.change === "new" && this.one.state === "done"));
    const name = one.name.trim() || one.id;
    const what = whatOf(one);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, isThere ? h("a", { href: `#/people/one/${encodeURIComponent(one.id)}` }, name) : name),
      h("td", { "data-label": t("kind") }, t(ONE_OF[one.kind])),
      h("td", {}, h("span", { class: `tag ${tag}` }, icon(iconName), t(`${one.change}_one`))),
      h("td", what && { "data-label": t("what") }, what),
    );
  }
}

/** "teléfono: +56 9 5555 0001 → +56 9 5555 0002, cursos" */
function whatOf({ fields, number_before: before, number_after: after }) {
  const isNumber = before !== null || after !== null;
  const said = (number) => (number ? phone(number) : t("no_number"));
  // How a number is written changes with it: said once.
  const others = fields.filter((field) => !(isNumber && (field === "number" || field === "typed_number")));
  const words = others.map((field) => (has(`field_${field}`) ? t(`field_${field}`) : field));
  return [isNumber && t("number_from_to", said(before), said(after)), ...words].filter(Boolean).join(", ");
}

/** Focus goes to where reading goes on: the button that was pressed is gone. */
export function goOnAt(row) {
  row?.setAttribute("tabindex", "-1");
  row?.focus();
}

function choice(id, options, all, onChange) {
  return h("select", { class: "input", id, onChange }, h("option", { value: "" }, all), options.map(([value, words]) => h("option", { value }, words)));
}
