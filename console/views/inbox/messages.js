// What the school sent one person: read, marked, put away.
import { OnceKey } from "../../lib/api.js";
import { fill, h, icon } from "../../lib/dom.js";
import { moment } from "../../lib/format.js";
import { actionButton, errorNote, load, moreOf, note } from "../../lib/say.js";
import { ask } from "./ask.js";
import { t } from "./words.js";

const PAGE = 20;

export class Messages {
  /** `said` is told what became of an act; `onChanged` that another number of them is unread. */
  constructor(api, said, onChanged) {
    this.api = api;
    this.said = said;
    this.onChanged = onChanged;
    this.element = h("div", { class: "stack" });
    this.keys = new Map();
  }

  read(cursor = null) {
    return this.api.get("/inbox", { limit: PAGE, cursor });
  }

  show(first) {
    if (first.messages.length === 0 && !first.next) return h("p", { class: "panel empty", tabindex: "-1" }, t("none"));
    this.list = h("ul", { class: "stack inbox-list" }, first.messages.map((one) => this.#item(one)));
    const foot = moreOf(t("more"), first.next, (next) => this.read(next), (page) => this.list.append(...page.messages.map((one) => this.#item(one))));
    this.foot = foot;
    const newest = first.messages[0]?.at;
    const all = newest && actionButton(t("mark_all"), () => this.#mark("all", (key) => this.api.send("PUT", "/inbox/read", { until: newest }, { key }), [...this.list.children]), { iconName: "done" });
    this.head = h("div", { class: "row" }, all);
    return h("div", { class: "stack" }, this.head, this.list, foot);
  }

  #item(one) {
    const item = h("li", { class: "panel stack inbox-item", tabindex: "-1" });
    const when = moment(one.at);
    const mark = one.read_at === null && actionButton(t("mark"), () => this.#markOne(one, item));
    const away = h("button", { type: "button", class: "button plain", "aria-label": t("put_away_which", when), onClick: () => this.#putAway(one, item) }, icon("close"), t("put_away"));
    if (mark) mark.classList.add("mark");
    fill(
      item,
      h("div", { class: "row apart" }, h("time", { class: "small soft", datetime: one.at }, when), one.read_at === null && h("span", { class: "tag warn unread" }, icon("inbox"), t("new_one"))),
      h("p", { class: "text" }, one.text),
      h("div", { class: "row" }, mark, away),
    );
    return item;
  }

  async #markOne(one, item) {
    const isDone = await this.#mark(one.id, (key) => this.api.send("PUT", `/inbox/${one.id}/read`, undefined, { key }), [item]);
    if (isDone) item.focus(); // its button is gone
  }

  async #mark(name, send, items) {
    const key = this.#keyOf(name);
    try {
      await send(key.of(name));
    } catch (error) {
      fill(this.said, errorNote(error));
      return false;
    }
    key.done();
    fill(this.said, note("good", h("p", {}, t("marked"))));
    for (const item of items) {
      item.querySelector(".unread")?.remove();
      item.querySelector(".mark")?.remove();
    }
    this.onChanged();
    return true;
  }

  async #putAway(one, item) {
    const key = this.#keyOf(`away ${one.id}`);
    const question = { title: t("put_away_title"), shown: one.text, means: t("put_away_means"), yes: t("put_away_yes") };
    if (!(await ask(this.element, question, () => this.api.send("DELETE", `/inbox/${one.id}`, undefined, { key: key.of(one.id) })))) return;
    key.done();
    const next = item.nextElementSibling ?? item.previousElementSibling;
    item.remove();
    fill(this.said, note("good", h("p", {}, t("is_away"))));
    this.onChanged();
    if (next) {
      next.focus();
      return;
    }
    await load(this.element, () => this.read(), (first) => this.show(first)); // older ones, if there are any
    this.element.querySelector("[tabindex]")?.focus();
  }

  #keyOf(name) {
    if (!this.keys.has(name)) this.keys.set(name, new OnceKey());
    return this.keys.get(name);
  }
}
