// <recado-credits>: what the school has by zone, for how long it lasts, what moved it, and which bags there are (L5, L7, L13).
import { OnceKey } from "../lib/api.js";
import { fill, h, svg } from "../lib/dom.js";
import { day, number } from "../lib/format.js";
import { actionButton, errorNote, loadTogether, note } from "../lib/say.js";
import { language } from "../lib/words.js";
import { Statement } from "./credits/statement.js";
import { t } from "./credits/words.js";

const WEEKS = 12;
const HEIGHT = 120;

class Credits extends HTMLElement {
  #key = new OnceKey();

  connectedCallback() {
    const { api } = this.context;
    const [place, bags] = [1, 2].map(() => h("div", { class: "stack" }));
    this.said = h("div", { role: "status" });
    const shop = section("bags", h("p", { class: "soft small" }, t("never")), this.said, bags);
    const root = h("div", { class: "stack" });
    fill(this, h("div", { class: "stack" }, h("h1", {}, t("title")), root));
    const account = async () => {
      const [school, { accounts }, use] = await Promise.all([api.get("/school"), api.get("/credits"), api.get("/credits/use", { weeks: WEEKS })]);
      return { accounts, use: use.accounts, timeZone: school.time_zone };
    };
    const movements = h("div", { class: "stack" });
    loadTogether(root, [place, shop, movements], [
      {
        place,
        loader: account,
        show: ({ accounts, use, timeZone }) => {
          fill(movements, this.#movements(accounts, timeZone));
          return [this.#balances(accounts, use), use.length > 0 && section("use", use.map((one) => this.#use(one)))];
        },
      },
      { place: bags, loader: () => api.get("/credits/bags", { lang: language }), show: (found) => this.#bags(found) },
    ]);
  }

  disconnectedCallback() {
    this.statement?.stop();
  }

  #movements(accounts, timeZone) {
    if (accounts.length === 0) return section("statement", h("p", { class: "soft" }, t("nothing")));
    this.statement = new Statement(this.context.api, accounts.map((one) => one.zone), timeZone);
    this.statement.read();
    return section("statement", this.statement.element);
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
    const isUsed = account.weeks.some((week) => week.captured > 0);
    const width = 100 / account.weeks.length;
    return h(
      "figure",
      { class: "stack" },
      h("h3", {}, t(account.zone)),
      h("p", { class: "small soft" }, isUsed ? t("most", most) : t("no_use")),
      isUsed && svg(
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
            h("h3", { lang: "es" }, bag.name),
            h("p", { class: "tabular" }, t("credits", bag.credits), " · ", t(bag.zone)),
            h("p", { class: "small soft" }, h("span", { lang: "es" }, bag.advice), " ", bag.sold_by_support && t("support")),
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
}

function section(name, ...children) {
  return h("section", { class: "panel stack", "aria-labelledby": name }, h("h2", { id: name }, t(name)), ...children);
}

customElements.define("recado-credits", Credits);
