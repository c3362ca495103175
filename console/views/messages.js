// <recado-messages>: the school's messages, and one of them with what became of each text. `path[0]` is a message's id.
import { fill, h, icon } from "../lib/dom.js";
import { moment } from "../lib/format.js";
import { load } from "../lib/say.js";
import { language } from "../lib/words.js";
import { Detail } from "./messages/detail.js";
import { poll } from "./messages/poll.js";
import { ON_THEIR_WAY, progressOf, t } from "./messages/words.js";

const PAGE = 20;
const MOVING = ["planning", "sending", "stopping"];
const COUNTED = ["sent", "stopped"]; // the list does not say how many arrived: each is asked for once

class Messages extends HTMLElement {
  #stop = null;
  #detail = null;

  connectedCallback() {
    const [id] = this.context.path;
    if (id) {
      this.#detail = new Detail(this, this.context, id);
      return;
    }
    const place = h("div", {});
    fill(this, h("div", { class: "stack" }, h("h1", {}, t("messages")), place));
    load(place, () => this.#page(null), (first) => this.#list(first));
  }

  disconnectedCallback() {
    this.#stop?.();
    this.#detail?.end();
  }

  #page(before) {
    return this.context.api.get("/messages", { limit: PAGE, before, lang: language });
  }

  #list(first) {
    if (first.messages.length === 0) {
      return h("div", { class: "panel empty" }, h("p", {}, t("none")), h("a", { class: "button main", href: "#/write" }, t("write_one")));
    }
    const rows = new Map();
    const body = h("tbody", {});
    const put = (message) => {
      const row = h("tr", {}, cells(message));
      rows.set(message.id, { message, row });
      body.append(row);
    };
    first.messages.forEach(put);
    const foot = h("div", { class: "row" });
    const more = (next) => {
      fill(foot, next && h("button", { type: "button", class: "button", onClick: () => load(foot, () => this.#page(next), (page) => (page.messages.forEach(put), more(page.next))) }, t("more")));
      return foot.firstChild;
    };
    more(first.next);
    this.#stop = poll(() => this.#renew(rows));
    return h(
      "div",
      { class: "panel stack" },
      h(
        "table",
        { class: "table cards" },
        h("caption", { class: "heard" }, t("messages")),
        h("thead", {}, h("tr", {}, ["when", "what", "state", "progress"].map((name) => h("th", { scope: "col" }, t(name))))),
        body,
      ),
      foot,
    );
  }

  /** Only what is on its way is asked for again, and only its own cells change. */
  async #renew(rows) {
    const moving = [...rows.values()].filter(({ message, isCounted }) => MOVING.includes(message.state) || (COUNTED.includes(message.state) && !isCounted));
    for (const one of moving.slice(0, PAGE)) {
      one.message = await this.context.api.get(`/messages/${one.message.id}`, { lang: language });
      one.isCounted = !ON_THEIR_WAY.some((state) => one.message.counts?.[state]);
      const hasFocus = one.row.contains(document.activeElement);
      fill(one.row, cells(one.message));
      if (hasFocus) one.row.querySelector("a").focus();
    }
    return moving.length > 0;
  }
}

function cells(message) {
  const counted = message.counts && Object.keys(message.counts).length > 0 ? progressOf(message.counts) : null;
  return [
    h("td", { "data-label": t("when"), class: "tabular" }, moment(message.send_at ?? message.accepted_at ?? message.created_at, message.time_zone)),
    h("td", { "data-label": t("what") }, h("a", { href: `#/messages/${message.id}`, class: "text first-line" }, message.text)),
    h("td", { "data-label": t("state") }, stateTag(message.state)),
    h(
      "td",
      { "data-label": t("progress"), class: "progress-cell" },
      counted && h("progress", { max: counted.all, value: counted.done, "aria-label": t("announced", counted.done, counted.all) }),
      counted && h("span", { class: "small tabular" }, t("of", counted.done, counted.all)),
      !counted && h("span", { class: "small soft tabular" }, t("texts", message.recipients)),
    ),
  ];
}

/** A state in a word, with an icon. */
export function stateTag(state) {
  const kind = { sent: "good", cancelled: "", stopped: "warn", draft: "" }[state] ?? "";
  const name = { sent: "done", stopped: "stop", cancelled: "close", draft: "write" }[state] ?? "clock";
  return h("span", { class: `tag ${kind}` }, icon(name), t(`s_${state}`));
}

customElements.define("recado-messages", Messages);
