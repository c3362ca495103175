// What happened to somebody's SMS and number: when, who, why. Both are the API's own proof.
import { h, icon } from "../../lib/dom.js";
import { moment, phone } from "../../lib/format.js";
import { load, moreOf } from "../../lib/say.js";
import { KNOWN, t } from "./directory_words.js";
import { whoDid } from "./persons.js";

export class History {
  constructor(api, id) {
    this.api = api;
    this.path = `/people/${encodeURIComponent(id)}`;
    this.notes = h("div", { class: "stack" });
    this.numbers = h("div", { class: "stack" });
    const section = (name, place) => h("section", { class: "panel stack", "aria-labelledby": `history-${name}` }, h("h2", { id: `history-${name}` }, t(name)), place);
    this.element = h("div", { class: "people-columns" }, section("opt_outs", this.notes), section("numbers", this.numbers));
  }

  /** Both anew; what is there stays until they come, and an error is said in their place. */
  read() {
    const notes = load(this.notes, () => this.api.get(`${this.path}/opt-outs`), ({ notes }) => this.#notes(notes), KNOWN);
    const numbers = load(this.numbers, () => this.api.get(`${this.path}/numbers`), (page) => this.#numbers(page), KNOWN);
    return Promise.all([notes, numbers]);
  }

  #notes(notes) {
    if (notes.length === 0) return h("p", { class: "soft" }, t("no_notes"));
    return h("ul", { class: "people-history" }, notes.map(noted));
  }

  #numbers(first) {
    if (first.changes.length === 0) return h("p", { class: "soft" }, t("no_changes"));
    const list = h("ul", { class: "people-history" });
    const put = ({ changes }) => {
      const items = changes.map(changed);
      list.append(...items);
      return items;
    };
    put(first);
    const more = moreOf(t("more"), first.next, (cursor) => this.api.get(`${this.path}/numbers`, { cursor }), (page) => {
      const [item] = put(page);
      item?.setAttribute("tabindex", "-1");
      item?.focus();
    });
    return [list, more];
  }
}

function noted(one) {
  const isReply = one.cause === "reply";
  const what = isReply ? (one.opted_out ? "note_stop" : "note_start") : one.opted_out ? "note_off" : "note_on";
  const isMove = one.reason === "number_changed";
  const why = isReply ? null : isMove ? t(one.opted_out ? "moved_to" : "moved_from") : one.reason && t("reason_said", one.reason);
  return h(
    "li",
    {},
    h("p", { class: "people-what" }, h("span", { class: `tag ${one.opted_out ? "bad" : "good"}` }, icon(one.opted_out ? "blocked" : "done"), t(what)), ` ${isReply ? t("from_handset") : t("by", whoDid(one.by))}`),
    why && h("p", { class: "text" }, why),
    h("p", { class: "small soft tabular" }, `${moment(one.at)} · ${phone(one.number)}`),
  );
}

function changed(one) {
  const before = one.number_before ? phone(one.number_before) : one.typed_before || t("nothing_before");
  const after = one.number_after ? phone(one.number_after) : one.typed_after || t("nothing_before");
  return h(
    "li",
    {},
    h("p", {}, h("strong", {}, t(one.number_after || one.typed_after ? "number_new" : "number_gone")), ` ${t("by", whoDid(one.by))}`),
    h("p", { class: "tabular" }, t("from_to", before, after)),
    h("p", { class: "small soft tabular" }, moment(one.at)),
  );
}
