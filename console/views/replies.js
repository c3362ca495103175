// <recado-replies>: what families answered, newest first, while somebody looks also what comes.
import { fill, h } from "../lib/dom.js";
import { load } from "../lib/say.js";
import { reply } from "./messages/detail.js";
import { poll } from "./messages/poll.js";
import { t } from "./messages/words.js";

const PAGE = 50;

class Replies extends HTMLElement {
  #stop = null;

  connectedCallback() {
    const place = h("div", {});
    fill(this, h("div", { class: "stack" }, h("h1", {}, t("replies")), h("div", { class: "panel" }, place)));
    load(place, () => this.#page(null), (first) => this.#list(first));
  }

  disconnectedCallback() {
    this.#stop?.();
  }

  #page(before) {
    return this.context.api.get("/replies", { limit: PAGE, before });
  }

  #list(first) {
    const empty = h("p", { class: "soft", hidden: first.replies.length > 0 }, t("no_replies"));
    const seen = new Set();
    const item = (one) => {
      seen.add(one.id);
      const shown = reply(one);
      if (one.message) shown.append(h("p", { class: "small" }, h("a", { href: `#/messages/${one.message}` }, t("to_message"))));
      return shown;
    };
    const list = h("ul", { class: "stack" }, first.replies.map(item));
    const foot = h("div", { class: "row" });
    const more = (next) => (fill(foot, next && h("button", { type: "button", class: "button", onClick: () => load(foot, () => this.#page(next), (page) => (list.append(...page.replies.map(item)), more(page.next))) }, t("more"))), foot.firstChild);
    more(first.next);
    this.#stop = poll(async () => {
      const news = (await this.#page(null)).replies.filter((one) => !seen.has(one.id));
      list.prepend(...news.map(item));
      empty.hidden = seen.size > 0;
      return true;
    });
    return h("div", { class: "stack", "aria-live": "polite" }, empty, list, foot);
  }
}

customElements.define("recado-replies", Replies);
