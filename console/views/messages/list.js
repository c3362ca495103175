// The school's messages, newest first, each with how far it is.
import { NoAnswer, Problem } from "../../lib/api.js";
import { fill, h, icon } from "../../lib/dom.js";
import { moment } from "../../lib/format.js";
import { actionButton, errorNote } from "../../lib/say.js";
import { language } from "../../lib/words.js";
import { isMoving, pauseMs, progressOf } from "./figures.js";
import { each, Poll } from "./poll.js";
import { KNOWN, messageState, t } from "./words.js";

const PAGE = 20;
const QUIET_MS = 15_000; // while nothing moves: somebody else may send
const FOLLOWED_MAX = 5; // asked one by one at each turn
const FIRST_LINE_MAX = 120;
const STATES = ["draft", "scheduled", "planning", "sending", "stopping", "sent", "stopped", "cancelled"];
const ICONS = { draft: "write", planning: "clock", scheduled: "clock", sending: "send", stopping: "stop", sent: "done", stopped: "stop", cancelled: "close" };
const KINDS = { sent: "good", stopped: "warn", cancelled: "" };

export class List {
  constructor(context) {
    this.api = context.api;
    this.messages = new Map(); // by id; those of the first page come anew at each turn
    this.order = [];
    this.cards = new Map();
    this.next = undefined;
    this.select = h("select", { class: "input", id: "messages-state", onChange: () => this.#arrange() }, h("option", { value: "" }, t("all_states")), STATES.map((state) => h("option", { value: state }, messageState(state))));
    this.items = h("ul", { class: "messages-list" });
    this.place = h("div", { class: "stack" });
    this.renewed = h("p", { class: "small soft list-status", role: "status" });
    this.moreButton = actionButton(t("more"), () => this.#more());
    this.moreButton.hidden = true;
    this.poll = new Poll((signal) => this.#turn(signal), (error) => (this.renewed.textContent = error ? t("not_renewed") : ""));
    this.element = h(
      "div",
      { class: "stack" },
      h("div", { class: "row apart" }, h("h1", {}, t("title")), h("a", { class: "button main", href: "#/write" }, icon("write"), t("write_new"))),
      h("div", { class: "field messages-filter" }, h("label", { for: "messages-state" }, t("only")), this.select),
      this.renewed,
      this.place,
      h("div", { class: "row" }, this.moreButton),
    );
  }

  async begin() {
    this.place.setAttribute("aria-busy", "true");
    try {
      await this.#page(null);
    } catch (error) {
      fill(this.place, errorNote(error, { known: KNOWN, retry: () => this.begin() }));
      return;
    } finally {
      this.place.removeAttribute("aria-busy");
    }
    if (this.isStopped) return;
    this.#arrange();
    this.#readFigures(this.order);
    this.poll.start(this.#pause());
  }

  stop() {
    this.isStopped = true;
    this.poll.stop();
  }

  async #page(before, signal) {
    const answer = await this.api.get("/messages", { limit: PAGE, before, lang: language }, { signal });
    for (const message of answer.messages) {
      const known = this.messages.get(message.id);
      // A list has no counts: those that were read stay until they are read again.
      this.messages.set(message.id, known ? { ...message, counts: known.counts, message_centre: { ...message.message_centre, put: known.message_centre.put } } : message);
    }
    const ids = answer.messages.map((one) => one.id);
    if (before === null) this.order = [...ids, ...this.order.filter((id) => !ids.includes(id))];
    else this.order.push(...ids.filter((id) => !this.order.includes(id)));
    if (before !== null || this.next === undefined) this.next = answer.next;
  }

  async #more() {
    const known = new Set(this.order);
    try {
      await this.#page(this.next);
    } catch (error) {
      this.trouble?.remove();
      this.trouble = errorNote(error, { known: KNOWN });
      this.moreButton.before(this.trouble);
      return;
    }
    this.trouble?.remove();
    this.#arrange();
    const added = this.order.filter((id) => !known.has(id));
    const first = added.map((id) => this.cards.get(id)).find((card) => card?.element.isConnected);
    first?.link.focus(); // where reading goes on; the button may be gone
    this.#readFigures(added);
  }

  /** One turn of the poll: the newest page, and the counts of what is on its way. */
  async #turn(signal) {
    const known = new Set(this.order);
    await this.#page(null, signal);
    const added = this.order.filter((id) => !known.has(id));
    const moving = this.order.filter((id) => added.includes(id) || isMoving(this.messages.get(id))).slice(0, FOLLOWED_MAX);
    for (const id of moving) await this.#readOne(id, signal);
    this.#arrange();
    if (added.length) this.renewed.textContent = t("list_renewed");
    return this.#pause();
  }

  #pause() {
    const moving = this.order.map((id) => this.messages.get(id)).filter((one) => isMoving(one));
    return Math.min(QUIET_MS, ...moving.map((one) => pauseMs(one)));
  }

  #readFigures(ids) {
    const wanted = ids.filter((id) => progressOf(this.messages.get(id)) && !this.messages.get(id).counts);
    return each(wanted, async (id) => {
      if (this.isStopped) return;
      try {
        await this.#readOne(id);
      } catch (error) {
        if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
        this.cards.get(id)?.fail();
        return;
      }
      this.cards.get(id)?.show(this.messages.get(id));
    });
  }

  async #readOne(id, signal) {
    this.messages.set(id, await this.api.get(`/messages/${id}`, { lang: language }, { signal }));
  }

  /** Shows what is chosen, in its order. A card that is there already is kept, so that focus stays where it is. */
  #arrange() {
    const wanted = this.order.map((id) => this.messages.get(id)).filter((one) => !this.select.value || one.state === this.select.value);
    const elements = wanted.map((message) => {
      if (!this.cards.has(message.id)) this.cards.set(message.id, new Card(message));
      const card = this.cards.get(message.id);
      card.show(message);
      return card.element;
    });
    for (const one of [...this.items.children]) if (!elements.includes(one)) one.remove();
    elements.forEach((element, index) => {
      if (this.items.children[index] !== element) this.items.insertBefore(element, this.items.children[index] ?? null);
    });
    if (!elements.length) fill(this.place, h("p", { class: "empty panel", role: "status" }, t(this.order.length ? "none_in_state" : "none")));
    else if (this.items.parentNode !== this.place) fill(this.place, this.items);
    this.moreButton.hidden = !this.next;
  }
}

class Card {
  constructor(message) {
    this.link = h("a", { class: "message-link", href: `#/messages/${message.id}` });
    this.state = h("span", { class: "row" });
    this.when = h("span", { class: "small soft" });
    this.bar = h("span", {});
    this.progress = h("div", { class: "progress", role: "progressbar", "aria-valuemin": 0, "aria-label": t("progress") }, this.bar);
    this.said = h("p", { class: "small tabular" });
    this.element = h("li", { class: "panel message-card" }, h("div", { class: "row apart" }, this.state, this.when), h("p", { class: "message-line" }, this.link), h("div", { class: "message-progress" }, this.progress, this.said));
    this.known = "";
  }

  show(message) {
    const text = JSON.stringify(message);
    if (text === this.known) return;
    this.known = text;
    fill(this.state, stateTag(message), h("span", { class: "small soft" }, t(message.category)));
    const at = message.send_at ?? message.accepted_at ?? message.created_at;
    const when = moment(at, message.time_zone);
    this.when.textContent = message.state === "scheduled" ? t("goes_at", when) : when;
    this.link.textContent = firstLine(message.text);
    const progress = progressOf(message);
    this.progress.hidden = progress === null;
    if (progress === null) {
      this.said.textContent = message.recipients ? t("to_recipients", message.recipients) : message.message_centre.copies ? t("copies", message.message_centre.copies) : "";
      return;
    }
    const isKnown = progress.isInbox ? message.message_centre.put !== null : message.counts !== null;
    const words = progress.isInbox ? t("put_of", progress.done, progress.all) : t("reached_of", progress.done, progress.all);
    this.said.textContent = isKnown ? words : t("to_recipients", progress.all);
    this.bar.style.width = `${(progress.done / progress.all) * 100}%`;
    this.progress.setAttribute("aria-valuemax", progress.all);
    if (isKnown) {
      this.progress.setAttribute("aria-valuenow", progress.done);
      this.progress.setAttribute("aria-valuetext", words);
    }
  }

  fail() {
    this.said.textContent = t("no_progress");
  }
}

export const stateTag = (message) => h("span", { class: `tag ${KINDS[message.state] ?? ""}` }, icon(ICONS[message.state]), messageState(message.state));

function firstLine(text) {
  const line = text.trim().split("\n")[0];
  return line.length > FIRST_LINE_MAX ? `${line.slice(0, FIRST_LINE_MAX)}…` : line;
}
