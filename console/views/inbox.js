// <recado-inbox>: what the school sent one person, and whether they want it by SMS, too (L10). For whoever the token names.
import { OnceKey } from "../lib/api.js";
import { fill, h, icon } from "../lib/dom.js";
import { moment, number, phone } from "../lib/format.js";
import { actionButton, errorNote, load, moreOf, note } from "../lib/say.js";
import { words } from "../lib/words.js";

const PAGE = 20;

const t = words({
  es: {
    title: "Mis mensajes",
    unread: (count, isCapped) => (isCapped ? `más de ${number(count)} sin leer` : count === 1 ? "1 sin leer" : `${number(count)} sin leer`),
    all_read: "todo leído",
    none: "Su colegio todavía no le ha enviado mensajes.",
    more: "Ver más",
    new_one: "Sin leer",
    mark: "Marcar como leído",
    mark_all: "Marcar todo como leído",
    marked: "Marcado como leído.",
    sms: "¿Recibir también por SMS?",
    sms_free: "Recibir es gratis. Los mensajes siguen llegando aquí en cualquier caso.",
    number_is: (value) => `Su número: ${value}`,
    no_number: "Su ficha no tiene un número que sirva. Avise al colegio o corríjalo en el portal.",
    sms_on: "Sí, recibo SMS",
    sms_off: "No recibo SMS",
    switch_off: "Dejar de recibir SMS",
    switch_on: "Volver a recibir SMS",
    is_off: "Listo: no recibirá más SMS del colegio.",
    is_on: "Listo: volverá a recibir los SMS del colegio.",
    replied_stop: "Desde su teléfono se pidió no recibir más SMS. Para volver a recibirlos, responda ALTA desde el mismo teléfono.",
    nobody: "Su sesión no dice quién es usted: pida al colegio que la revise.",
  },
  en: {
    title: "My messages",
    unread: (count, isCapped) => (isCapped ? `more than ${number(count)} unread` : `${number(count)} unread`),
    all_read: "all read",
    none: "Your school has not sent you any message yet.",
    more: "Show more",
    new_one: "Unread",
    mark: "Mark as read",
    mark_all: "Mark all as read",
    marked: "Marked as read.",
    sms: "Receive them by SMS, too?",
    sms_free: "Receiving is free. Messages keep arriving here in any case.",
    number_is: (value) => `Your number: ${value}`,
    no_number: "Your record has no usable number. Tell the school, or correct it in the portal.",
    sms_on: "Yes, I receive SMS",
    sms_off: "I receive no SMS",
    switch_off: "Stop receiving SMS",
    switch_on: "Receive SMS again",
    is_off: "Done: you will receive no more SMS from the school.",
    is_on: "Done: you will receive the school's SMS again.",
    replied_stop: "Your handset asked for no more SMS. To receive them again, reply ALTA from the same handset.",
    nobody: "Your session does not say who you are: ask the school to look at it.",
  },
});

class Inbox extends HTMLElement {
  #parts = {};
  #key = new OnceKey();

  connectedCallback() {
    for (const name of ["unread", "list", "said", "sms"]) this.#parts[name] = h("div", { class: "stack" });
    this.#parts.said.setAttribute("role", "status");
    fill(
      this,
      h(
        "div",
        { class: "stack" },
        h("div", { class: "row apart" }, h("h1", {}, t("title")), this.#parts.unread),
        h("section", { class: "panel stack", "aria-labelledby": "sms-title" }, h("h2", { id: "sms-title" }, t("sms")), this.#parts.sms),
        this.#parts.said,
        this.#parts.list,
      ),
    );
    const known = { token_names_nobody: t("nobody") };
    load(this.#parts.sms, () => this.context.api.get("/me"), (record) => this.#preference(record), known);
    load(this.#parts.list, () => this.#page(null), (first) => this.#messages(first), known);
    this.#count();
  }

  #page(cursor) {
    return this.context.api.get("/inbox", { limit: PAGE, cursor });
  }

  #count() {
    load(this.#parts.unread, () => this.context.api.get("/inbox/unread"), ({ unread, is_capped: isCapped }) => h("span", { class: unread ? "tag warn" : "tag good" }, icon(unread ? "inbox" : "done"), unread ? t("unread", unread, isCapped) : t("all_read")));
  }

  // --- what was sent

  #messages(first) {
    if (first.messages.length === 0) return h("p", { class: "panel empty" }, t("none"));
    const list = h("ul", { class: "stack" }, first.messages.map((one) => this.#message(one)));
    const foot = moreOf(t("more"), first.next, (next) => this.#page(next), (page) => list.append(...page.messages.map((one) => this.#message(one))));
    const all = actionButton(t("mark_all"), () => this.#mark(() => this.context.api.send("PUT", "/inbox/read", { until: first.messages[0].at }), [...list.children]), { iconName: "done" });
    return h("div", { class: "stack" }, h("div", { class: "row" }, all), list, foot);
  }

  #message(one) {
    const item = h("li", { class: "panel stack" });
    const mark = actionButton(t("mark"), () => this.#mark(() => this.context.api.send("PUT", `/inbox/${one.id}/read`), [item]));
    fill(
      item,
      h("div", { class: "row apart" }, h("time", { class: "small soft", datetime: one.at }, moment(one.at)), one.read_at === null && h("span", { class: "tag warn unread" }, icon("inbox"), t("new_one"))),
      h("p", { class: "text" }, one.text),
      one.read_at === null && h("div", { class: "row mark" }, mark),
    );
    return item;
  }

  async #mark(ask, items) {
    try {
      await ask();
    } catch (error) {
      fill(this.#parts.said, errorNote(error));
      return;
    }
    fill(this.#parts.said, note("good", h("p", {}, t("marked"))));
    for (const item of items) {
      item.querySelector(".unread")?.remove();
      item.querySelector(".mark")?.remove();
    }
    this.#count();
  }

  // --- by SMS, too

  #preference(record) {
    const isOn = !record.opted_out;
    const { allowed } = record.sms;
    const change = async () => {
      const body = { allowed: !allowed };
      try {
        const changed = await this.context.api.send("PUT", "/me/sms", body, { key: this.#key.of(body) });
        this.#key.done();
        fill(this.#parts.sms, this.#preference(changed));
        fill(this.#parts.said, note("good", h("p", {}, t(changed.sms.allowed ? "is_on" : "is_off"))));
        this.#parts.sms.querySelector("button")?.focus();
      } catch (error) {
        fill(this.#parts.said, errorNote(error));
      }
    };
    return h(
      "div",
      { class: "stack" },
      h("p", { class: "row" }, h("span", { class: isOn ? "tag good" : "tag bad" }, icon(isOn ? "done" : "blocked"), t(isOn ? "sms_on" : "sms_off")), record.number && h("span", { class: "tabular" }, t("number_is", phone(record.number)))),
      !record.number && note("warn", h("p", {}, t("no_number"))),
      record.replied_stop && note("warn", h("p", {}, t("replied_stop"))),
      h("p", { class: "small soft" }, t("sms_free")),
      h("div", { class: "row" }, actionButton(t(allowed ? "switch_off" : "switch_on"), change, { iconName: allowed ? "blocked" : "phone" })),
    );
  }
}

customElements.define("recado-inbox", Inbox);
