// <recado-credits>: what the school has by zone, for how long it lasts, what moved it, and which bags there are (L5, L7, L13).
import { OnceKey } from "../lib/api.js";
import { fill, h, svg } from "../lib/dom.js";
import { day, moment, number } from "../lib/format.js";
import { actionButton, errorNote, load, moreOf, note } from "../lib/say.js";
import { language, words } from "../lib/words.js";

const PAGE = 20;
const WEEKS = 12;
const HEIGHT = 120;

const t = words({
  es: {
    title: "Créditos",
    domestic: "Nacionales",
    international: "Internacionales",
    available: "disponibles",
    held: "reservados",
    captured: "gastados",
    none: "El colegio todavía no tiene créditos. Puede pedir una bolsa más abajo; el centro de mensajes es gratis.",
    low: (threshold) => `Quedan menos de ${number(threshold)}.`,
    suspended: "El contrato está suspendido: no se puede enviar por SMS. Los créditos no se pierden.",
    days: (count) => `Al ritmo de las últimas cuatro semanas alcanzan para ${number(count)} días.`,
    no_pace: "Todavía no se puede decir para cuánto alcanzan.",
    use: "Uso por semana",
    use_said: (count) => `Gráfico de barras de ${count} semanas; los números están en la tabla.`,
    figures: "Ver los números",
    week: "Semana del",
    used: "Gastados",
    statement: "Movimientos",
    when: "Cuándo",
    what: "Qué",
    change: "Disponibles",
    more: "Ver más",
    nothing: "Todavía no hay movimientos.",
    zone: "Zona",
    bags: "Bolsas",
    never: "Los créditos no vencen y las bolsas no se devuelven.",
    ask: "Pedir esta bolsa",
    asked: (name) => `Pedida: ${name}. Soporte se la vende; no se ha cobrado nada.`,
    support: "La vende soporte.",
    credits: (count) => `${number(count)} créditos`,
  },
  en: {
    title: "Credits",
    domestic: "Domestic",
    international: "International",
    available: "available",
    held: "held",
    captured: "spent",
    none: "The school has no credits yet. It can ask for a bag below; the message centre is free.",
    low: (threshold) => `Fewer than ${number(threshold)} are left.`,
    suspended: "The contract is suspended: nothing can be sent by SMS. Credits are not lost.",
    days: (count) => `At the pace of the last four weeks they last ${number(count)} days.`,
    no_pace: "It cannot be told yet how long they last.",
    use: "Use by week",
    use_said: (count) => `A bar chart of ${count} weeks; the figures are in the table.`,
    figures: "See the figures",
    week: "Week of",
    used: "Spent",
    statement: "Movements",
    when: "When",
    what: "What",
    change: "Available",
    more: "Show more",
    nothing: "There are no movements yet.",
    zone: "Zone",
    bags: "Bags",
    never: "Credits never expire, and bags are not given back.",
    ask: "Ask for this bag",
    asked: (name) => `Asked for: ${name}. Support sells it; nothing has been charged.`,
    support: "Sold by support.",
    credits: (count) => `${number(count)} credits`,
  },
});

class Credits extends HTMLElement {
  #key = new OnceKey();

  connectedCallback() {
    const { api } = this.context;
    const [place, bags, movements] = [1, 2, 3].map(() => h("div", { class: "stack" }));
    this.said = h("div", { role: "status" });
    const section = (name, ...children) => h("section", { class: "panel stack", "aria-labelledby": name }, h("h2", { id: name }, t(name)), ...children);
    const shop = section("bags", h("p", { class: "soft small" }, t("never")), this.said, bags);
    fill(this, h("div", { class: "stack" }, h("h1", {}, t("title")), place, shop, movements));
    load(bags, () => api.get("/credits/bags", { lang: language }), (found) => this.#bags(found));
    load(
      place,
      async () => {
        const [{ accounts }, use] = await Promise.all([api.get("/credits"), api.get("/credits/use", { weeks: WEEKS })]);
        const first = await Promise.all(accounts.map((one) => this.#movements(one.zone, null)));
        return { accounts, use: use.accounts, first };
      },
      ({ accounts, use, first }) => {
        fill(movements, section("statement", accounts.length === 0 ? h("p", { class: "soft" }, t("nothing")) : first.map((one) => this.#statement(one))));
        return [this.#balances(accounts, use), section("use", use.map((one) => this.#use(one)))];
      },
    );
  }

  #movements(zone, cursor) {
    return this.context.api.get("/credits/statement", { zone, limit: PAGE, cursor, lang: language });
  }

  #balances(accounts, pace) {
    if (accounts.length === 0) return note("warn", h("p", {}, t("none")));
    return h(
      "div",
      { class: "row balances" },
      accounts.map((one) => {
        const { days_left: days } = pace.find((other) => other.zone === one.zone) ?? {};
        return h(
          "section",
          { class: "panel stack balance", "aria-label": t(one.zone) },
          h("h2", {}, t(one.zone)),
          h("p", {}, h("span", { class: "figure" }, number(one.available)), " ", t("available")),
          h("p", { class: "small soft tabular" }, `${number(one.held)} ${t("held")} · ${number(one.captured)} ${t("captured")}`),
          h("p", { class: "small" }, days === null || days === undefined ? t("no_pace") : t("days", days)),
          one.low && note("warn", h("p", {}, t("low", one.threshold))),
          one.contract === "suspended" && note("bad", h("p", {}, t("suspended"))),
        );
      }),
    );
  }

  #use(account) {
    const most = Math.max(1, ...account.weeks.map((week) => week.captured ?? 0));
    const width = 100 / account.weeks.length;
    return h(
      "figure",
      { class: "stack" },
      h("h3", {}, t(account.zone)),
      svg(
        "svg",
        { viewBox: `0 0 100 ${HEIGHT}`, class: "bars", role: "img", "aria-label": t("use_said", account.weeks.length), preserveAspectRatio: "none" },
        account.weeks.map((week, place) => svg("rect", { x: place * width + width * 0.1, width: width * 0.8, y: HEIGHT - ((week.captured ?? 0) / most) * HEIGHT, height: ((week.captured ?? 0) / most) * HEIGHT })),
      ),
      h(
        "details",
        {},
        h("summary", {}, t("figures")),
        h(
          "table",
          { class: "table" },
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("week")), h("th", { scope: "col", class: "right" }, t("used")))),
          h("tbody", {}, account.weeks.map((week) => h("tr", {}, h("th", { scope: "row" }, day(`${week.starts_on}T12:00:00Z`, "UTC")), h("td", { class: "right" }, week.captured === null ? "–" : number(week.captured))))),
        ),
      ),
    );
  }

  #bags(catalogue) {
    return [
      h(
        "ul",
        { class: "row bags" },
        catalogue.bags.map((bag) =>
          h(
            "li",
            { class: "panel stack bag" },
            h("h3", {}, bag.name),
            h("p", { class: "tabular" }, t("credits", bag.credits), " · ", t(bag.zone)),
            h("p", { class: "small soft" }, bag.advice, " ", bag.sold_by_support && t("support")),
            actionButton(t("ask"), () => this.#ask(bag)),
          ),
        ),
      ),
      h("p", { class: "small soft" }, catalogue.pays, " ", catalogue.international),
    ];
  }

  async #ask(bag) {
    const body = { bag: bag.id };
    try {
      await this.context.api.send("POST", "/credits/bags/requests", body, { key: this.#key.of(body) });
      this.#key.done();
      fill(this.said, note("good", h("p", {}, t("asked", bag.name))));
    } catch (error) {
      fill(this.said, errorNote(error));
    }
  }

  #statement(first) {
    const { zone } = first;
    const body = h("tbody", {});
    const put = (found) => body.append(...found.entries.map(movement));
    put(first);
    const foot = moreOf(t("more"), first.next, (next) => this.#movements(zone, next), put);
    return h(
      "div",
      { class: "stack" },
      h(
        "table",
        { class: "table cards" },
        h("caption", { class: "heard" }, `${t("statement")}: ${t(zone)}`),
        h("thead", {}, h("tr", {}, ["when", "what"].map((name) => h("th", { scope: "col" }, t(name))), h("th", { scope: "col", class: "right" }, t("change")))),
        body,
      ),
      foot,
    );
  }
}

function movement(one) {
  const what = one.message_id ? h("a", { href: `#/messages/${one.message_id}` }, one.explanation) : one.explanation;
  return h("tr", {}, h("td", { "data-label": t("when"), class: "tabular" }, moment(one.at)), h("td", { "data-label": t("what") }, what), h("td", { "data-label": t("change"), class: "right tabular" }, signed(one.available)));
}

function signed(value) {
  return value > 0 ? `+${number(value)}` : number(value);
}

customElements.define("recado-credits", Credits);
