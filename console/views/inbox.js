// <recado-inbox>: what the school sent one person, and whether they want it by SMS, too (L10). For whoever the token names.
import { fill, h, icon } from "../lib/dom.js";
import { load, loadTogether } from "../lib/say.js";
import { Messages } from "./inbox/messages.js";
import { KNOWN, Preference } from "./inbox/preference.js";
import { t } from "./inbox/words.js";

class Inbox extends HTMLElement {
  connectedCallback() {
    const { api, who } = this.context;
    const said = h("div", { class: "inbox-said", role: "status" });
    const unread = h("div", {});
    const preference = new Preference(api, who, said);
    const messages = new Messages(api, said, () => load(unread, count, tag));
    const count = () => api.get("/inbox/unread");
    const root = h("div", { class: "stack" });
    fill(this, h("div", { class: "stack" }, h("div", { class: "row apart" }, h("h1", {}, t("title")), unread), root));
    const sms = h("section", { class: "panel stack", "aria-labelledby": "sms-title" }, h("h2", { id: "sms-title" }, t("sms")), preference.element);
    loadTogether(root, [sms, said, messages.element], [
      { place: preference.element, loader: () => preference.read(), show: (record) => preference.show(record), known: KNOWN },
      { place: messages.element, loader: () => messages.read(), show: (first) => messages.show(first), known: KNOWN },
      { place: unread, loader: count, show: tag, known: KNOWN },
    ]);
  }
}

function tag({ unread, is_capped: isCapped }) {
  return h("span", { class: unread ? "tag warn" : "tag good" }, icon(unread ? "inbox" : "done"), unread ? t("unread", unread, isCapped) : t("all_read"));
}

customElements.define("recado-inbox", Inbox);
