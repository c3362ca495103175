// One message: what was said, what became of each text, what can still be done, what families answered.
import { OnceKey } from "../../lib/api.js";
import { fill, h, icon } from "../../lib/dom.js";
import { moment, number, phone } from "../../lib/format.js";
import { actionButton, errorNote, load } from "../../lib/say.js";
import { language } from "../../lib/words.js";
import { stateTag } from "../messages.js";
import { curve, stackedBar } from "./plots.js";
import { poll } from "./poll.js";
import { ON_THEIR_WAY, ORDER, progressOf, t } from "./words.js";

const PAGE = 100;
const PAGES_MAX = 20; // 2,000 names are read for a search; more are found by the state
const ANNOUNCED_MS = 15_000;
const REASONS = [...ORDER, "no_number", "unusable_number", "no_international_bag"];
const ACTS = ["created", "edited", "sent", "scheduled", "moved", "cancelled", "stopped", "finished"];

export class Detail {
  #view;
  #context;
  #id;
  #message = null;
  #keys = { stop: new OnceKey(), cancel: new OnceKey(), again: new OnceKey() };
  #stop = null;
  #announcedAt = 0;
  #parts = {};

  constructor(view, context, id) {
    this.#view = view;
    this.#context = context;
    this.#id = id;
    load(view, () => this.#read(), (message) => this.#show(message), { not_found: t("not_found") });
  }

  end() {
    this.#stop?.();
  }

  #read() {
    return this.#context.api.get(`/messages/${this.#id}`, { lang: language });
  }

  #show(message) {
    this.#message = message;
    const part = (name, kind = "div") => (this.#parts[name] = h(kind, { class: "stack" }));
    const page = h(
      "div",
      { class: "stack message" },
      h("p", { class: "no-print" }, h("a", { href: "#/messages" }, t("back"))),
      h("h1", { class: "text" }, message.text),
      part("about"),
      part("problem"),
      h("section", { class: "panel stack", "aria-labelledby": "results" }, h("h2", { id: "results" }, t("results")), part("results"), h("p", { class: "small soft no-print" }, t("counted")), part("live")),
      this.#recipients(),
      h("section", { class: "panel stack no-print", "aria-labelledby": "replies" }, h("h2", { id: "replies" }, t("replies")), h("p", { class: "small soft" }, t("since")), part("replies")),
      h("section", { class: "panel stack no-print", "aria-labelledby": "history" }, h("h2", { id: "history" }, t("history")), part("history")),
    );
    this.#parts.live.className = "heard";
    this.#parts.live.setAttribute("role", "status");
    this.#renew(message);
    this.#showReplies();
    this.#stop = poll(async () => {
      this.#renew(await this.#read());
      await this.#renewReplies();
      return this.#isMoving() || Date.now() - Date.parse(this.#message.accepted_at ?? 0) < 3_600_000;
    });
    return page;
  }

  #isMoving() {
    const { state, counts } = this.#message;
    return ["planning", "sending", "stopping"].includes(state) || ON_THEIR_WAY.some((one) => counts?.[one]);
  }

  /** Only what changes is made anew; what has the focus stays. */
  #renew(message) {
    this.#message = message;
    const { about, results, history } = this.#parts;
    const actions = about.contains(document.activeElement) ? about.querySelector(".actions") : this.#actions(message);
    const facts = h(
      "div",
      { class: "panel stack" },
      h("div", { class: "row" }, stateTag(message.state), h("span", {}, message.meaning)),
      message.state === "scheduled" && h("p", {}, t("scheduled_for", moment(message.send_at, message.time_zone))),
      h("p", { class: "soft small" }, moment(message.accepted_at ?? message.created_at, message.time_zone), " ", t("by", message.sent_by ?? message.created_by)),
      this.#credits(message),
      message.message_centre.copies > 0 && h("p", { class: "small" }, t("copies", message.message_centre.copies)),
      actions,
    );
    if (actions === about.querySelector(".actions")) about.firstChild.replaceChildren(...facts.childNodes);
    else fill(about, facts);
    const counts = message.counts ?? {};
    fill(results, Object.keys(counts).length > 0 && stackedBar(counts), message.curve?.length > 1 && [h("h3", {}, t("curve")), curve(message.curve, message.time_zone)]);
    fill(history, h("ul", { class: "stack small" }, message.history.map((act) => h("li", {}, moment(act.at, message.time_zone), ": ", act.by, " ", ACTS.includes(act.act) ? t(`a_${act.act}`) : act.act))));
    this.#announce(counts);
    const isNews = this.#parts.shown !== undefined && this.#parts.shown !== JSON.stringify(counts);
    this.#parts.shown = JSON.stringify(counts);
    if (isNews && !this.#parts.hasMore && !this.#parts.recipients.contains(document.activeElement)) this.#parts.showRecipients();
  }

  /** Now and then, not with every text. */
  #announce(counts) {
    const { all, done } = progressOf(counts);
    if (all === 0 || (Date.now() - this.#announcedAt < ANNOUNCED_MS && done < all)) return;
    this.#announcedAt = Date.now();
    const said = t("announced", done, all);
    if (this.#parts.live.textContent !== said) this.#parts.live.textContent = said;
  }

  #credits(message) {
    const zones = Object.entries(message.credits_captured ?? message.credits_held);
    const how = message.credits_captured ? t("captured") : t("held");
    return zones.length > 0 && h("p", {}, `${t("credits")}: `, zones.map(([zone, credits], place) => [place > 0 && ", ", h("strong", { class: "tabular" }, number(credits)), ` ${t(zone)}`]), ` ${how}`);
  }

  // --- what can be done

  #actions(message) {
    const { api, go } = this.#context;
    const act = (name, path) => async () => {
      try {
        const answer = await api.send("POST", `/messages/${this.#id}/${path}`, undefined, { key: this.#keys[name].of(path) });
        this.#keys[name].done();
        fill(this.#parts.problem);
        if (name === "again") go(`write/${answer.id}`);
        else this.#renew(await this.#read());
      } catch (error) {
        fill(this.#parts.problem, errorNote(error));
      }
    };
    return h(
      "div",
      { class: "row actions no-print" },
      message.state === "sending" && this.#asked(t("stop"), t("stop_ask"), act("stop", "stop"), "stop"),
      ["scheduled", "planning"].includes(message.state) && this.#asked(t("cancel"), t("cancel_ask"), act("cancel", "cancel"), "close"),
      ["draft", "scheduled"].includes(message.state) && h("a", { class: "button", href: `#/write/${message.id}` }, icon("write"), t("edit")),
      ["sent", "stopped", "sending"].includes(message.state) && actionButton(t("again"), act("again", "again"), { iconName: "send" }),
      actionButton(t("csv"), () => this.#download(), { iconName: "download" }),
      h("button", { type: "button", class: "button", onClick: () => print() }, icon("print"), h("span", {}, t("print"))),
    );
  }

  /** A press that is asked about once more, in a dialog that closes with Escape. */
  #asked(label, question, act, iconName) {
    const dialog = h("dialog", { "aria-label": label }, h("form", { method: "dialog", class: "stack" }, h("p", {}, question), h("div", { class: "row" }, h("button", { class: "button danger", value: "yes" }, t("yes")), h("button", { class: "button", value: "no", autofocus: true }, t("no")))));
    dialog.addEventListener("close", () => dialog.returnValue === "yes" && act());
    return [h("button", { type: "button", class: "button danger", onClick: () => ((dialog.returnValue = ""), dialog.showModal()) }, icon(iconName), h("span", {}, label)), dialog];
  }

  async #download() {
    try {
      const parts = [];
      let query = { lang: language };
      for (let page = 0; query && page < PAGES_MAX; page += 1) {
        const { blob, next } = await this.#context.api.file(`/messages/${this.#id}/recipients.csv`, query);
        parts.push(blob);
        query = next && Object.fromEntries(new URL(next, location.href).searchParams);
      }
      const link = h("a", { href: URL.createObjectURL(new Blob(parts, { type: "text/csv" })), download: `${this.#id}.csv` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    } catch (error) {
      fill(this.#parts.problem, errorNote(error));
    }
  }

  // --- the recipients

  #recipients() {
    const list = (this.#parts.recipients = h("div", {}));
    const states = h("select", { class: "input", id: "recipients-state", onChange: () => show() }, h("option", { value: "" }, t("everybody")), REASONS.map((state) => h("option", { value: state }, t(`r_${state}`))));
    const search = h("input", { class: "input", id: "recipients-search", type: "search", autocomplete: "off", onInput: () => ((search.timer && clearTimeout(search.timer)), (search.timer = setTimeout(show, 300))) });
    const show = () => this.#load(list, states.value, search.value.trim().toLowerCase());
    this.#parts.showRecipients = show;
    show();
    return h(
      "section",
      { class: "panel stack", "aria-labelledby": "recipients" },
      h("h2", { id: "recipients" }, t("recipients")),
      h("p", { class: "small soft no-print" }, t("print_hint")),
      h(
        "div",
        { class: "row no-print filters" },
        h("div", { class: "field" }, h("label", { for: "recipients-state" }, t("filter")), states),
        h("div", { class: "field" }, h("label", { for: "recipients-search" }, t("search")), search),
      ),
      list,
    );
  }

  #load(list, state, wanted) {
    const asked = (this.#parts.asked = {});
    this.#parts.hasMore = false;
    const page = (cursor) => this.#context.api.get(`/messages/${this.#id}/recipients`, { limit: PAGE, cursor, state, lang: language });
    const everything = async () => {
      let found = await page(null);
      const people = [...found.recipients];
      for (let count = 1; wanted && found.next && count < PAGES_MAX; count += 1) {
        found = await page(found.next);
        people.push(...found.recipients);
      }
      return { people: people.filter((one) => isWanted(one, wanted)), next: found.next };
    };
    load(list, everything, ({ people, next }) => {
      if (this.#parts.asked !== asked) return [...list.childNodes]; // something else has been asked for meanwhile
      if (people.length === 0) return h("p", { class: "soft" }, t("nobody"));
      const items = h("ul", { class: "people" }, people.map(recipient));
      const foot = h("div", { class: "row no-print" });
      const more = (cursor) => (fill(foot, cursor && h("button", { type: "button", class: "button", onClick: () => load(foot, () => page(cursor), (found) => ((this.#parts.hasMore = true), items.append(...found.recipients.map(recipient)), more(found.next))) }, t("more"))), foot.firstChild);
      more(next);
      return h("div", { class: "stack" }, items, foot);
    });
  }

  // --- the replies

  #showReplies() {
    load(this.#parts.replies, () => this.#askReplies(), (found) => this.#repliesList(found.replies));
  }

  /** Those that are known to answer it, and those of which nobody can say which message they answer. */
  async #askReplies() {
    const { accepted_at: since } = this.#message;
    if (!since) return { replies: [] };
    const { replies } = await this.#context.api.get("/replies", { since, limit: 100 });
    return { replies: replies.filter((one) => one.message === this.#id || one.message === null) };
  }

  async #renewReplies() {
    const found = await this.#askReplies();
    if (found.replies.length !== this.#parts.replies.querySelectorAll("li").length) fill(this.#parts.replies, this.#repliesList(found.replies));
  }

  #repliesList(replies) {
    return replies.length === 0 ? h("p", { class: "soft" }, t("no_replies")) : h("ul", { class: "stack" }, replies.map((one) => reply(one, this.#message.time_zone)));
  }
}

/** A reply: who, when, what; an opt-out word also in words. */
export function reply(one, timeZone) {
  return h(
    "li",
    { class: "reply" },
    h("p", { class: "small soft" }, h("strong", { class: "tabular" }, phone(one.number)), " · ", moment(one.received_at, timeZone)),
    h("p", { class: "text" }, one.text),
    one.word && h("p", {}, h("span", { class: "tag warn" }, icon(one.word === "stop" ? "blocked" : "done"), t("word")[one.word] ?? one.word)),
  );
}

function recipient(one) {
  const names = one.people.map((person) => person.name).join(", ");
  const shown = one.number ? phone(one.number) : "";
  return h(
    "li",
    { class: one.is_red || one.is_final && one.charged === "no" ? "recipient skipped" : "recipient" },
    h("span", { class: "name" }, names),
    one.is_red ? h("span", { class: "red-number" }, icon("blocked"), ` ${shown} · ${t("no_sms")}`) : h("span", { class: "tabular" }, shown),
    h("span", { class: "small soft reason" }, one.meaning),
  );
}

function isWanted(one, wanted) {
  return !wanted || one.people.some((person) => person.name.toLowerCase().includes(wanted)) || (one.number ?? "").includes(wanted.replaceAll(" ", ""));
}

