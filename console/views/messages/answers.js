// Replies to a message: the API does not say which message a reply is to, so these are what came afterwards from numbers that received it.
import { fill, h } from "../../lib/dom.js";
import { moment, phone } from "../../lib/format.js";
import { errorNote } from "../../lib/say.js";
import { language } from "../../lib/words.js";
import { Lines } from "./lines.js";
import { Poll } from "./poll.js";
import { namesOf } from "./recipients.js";
import { KNOWN, t } from "./words.js";
import { wordTag } from "./reply.js";

const REPLIES_PAGE = 100;
const REPLIES_PAGES_MAX = 3;
const RECIPIENTS_MAX = 1000;
const LOOK_MS = 10_000;
const QUIET_MS = 60_000;
const RECENT_MS = 2 * 3600 * 1000;

export class Answers {
  constructor(api, message) {
    this.api = api;
    this.lines = new Lines(api, message.id, language);
    this.place = h("div", { class: "stack" });
    this.known = "";
    this.poll = new Poll((signal) => this.#look(signal), (error) => this.#failed(error));
    this.element = h("section", { class: "panel stack no-print", "aria-labelledby": "answers-title" }, h("h2", { id: "answers-title" }, t("replies_to")), h("p", { class: "small soft" }, t("replies_how")), this.place);
  }

  show(message) {
    this.message = message;
    const isOut = ["sending", "stopping", "sent", "stopped"].includes(message.state) && message.recipients > 0;
    this.element.hidden = !isOut;
    if (isOut && !this.isOn) {
      this.isOn = true;
      this.poll.start();
    }
  }

  stop() {
    this.poll.stop();
  }

  async #look(signal) {
    if (this.lines.hasMore && this.lines.found.length < RECIPIENTS_MAX) await this.lines.more(RECIPIENTS_MAX, { signal });
    const since = Date.parse(this.message.send_at ?? this.message.accepted_at);
    const byNumber = new Map(this.lines.found.filter((one) => one.number && one.zone).map((one) => [one.number, one]));
    const found = [];
    let before = null;
    let isAll = false;
    for (let page = 0; page < REPLIES_PAGES_MAX && !isAll; page += 1) {
      const answer = await this.api.get("/replies", { limit: REPLIES_PAGE, before }, { signal });
      found.push(...answer.replies.filter((one) => Date.parse(one.received_at) >= since && byNumber.has(one.number)));
      isAll = answer.next === null || answer.replies.some((one) => Date.parse(one.received_at) < since);
      before = answer.next;
    }
    const isCut = !isAll || this.lines.hasMore;
    const text = JSON.stringify([found, isCut]);
    if (text !== this.known) {
      this.known = text;
      fill(
        this.place,
        found.length ? h("ul", { class: "stack" }, found.map((one) => this.#item(one, byNumber.get(one.number)))) : h("p", { class: "soft" }, t("no_replies_to")),
        isCut && h("p", { class: "small soft" }, t("replies_cut")),
      );
    }
    return Date.now() - since < RECENT_MS ? LOOK_MS : QUIET_MS;
  }

  #item(reply, line) {
    return h("li", { class: "reply" }, h("p", { class: "small" }, h("strong", {}, namesOf(line)), h("span", { class: "soft" }, ` · ${phone(reply.number)} · ${moment(reply.received_at, this.message.time_zone)}`)), h("p", { class: "text" }, reply.text), wordTag(reply));
  }

  #failed(error) {
    // What is there stays; the poll asks again by itself.
    if (error && !this.known) fill(this.place, errorNote(error, { known: KNOWN }));
    if (!error && this.place.querySelector(".note.bad")) this.known = "";
  }
}
