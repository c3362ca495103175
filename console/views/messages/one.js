// One message: what it says, how it goes, what it cost, who got it and what came back.
import { Problem } from "../../lib/api.js";
import { fill, h } from "../../lib/dom.js";
import { moment, time } from "../../lib/format.js";
import { errorNote, note } from "../../lib/say.js";
import { language } from "../../lib/words.js";
import { Acts } from "./acts.js";
import { Answers } from "./answers.js";
import { Bar } from "./bar.js";
import { Credits } from "./credits.js";
import { Curve } from "./curve.js";
import { curveOf, isMoving, pauseMs, progressOf } from "./figures.js";
import { stateTag } from "./list.js";
import { Poll } from "./poll.js";
import { Recipients } from "./recipients.js";
import { actWords, KNOWN, t } from "./words.js";

const SAID_EVERY_MS = 15_000; // whoever hears the page is told the figures so often, and at the end

export class One {
  constructor(context, id) {
    this.context = context;
    this.id = id;
    this.parts = [];
    this.element = h("div", { class: "stack" });
    this.poll = new Poll((signal) => this.#turn(signal), (error) => this.renewed && (this.renewed.textContent = error ? t("not_renewed") : ""));
  }

  async begin() {
    fill(this.element, back(), h("p", { class: "soft", role: "status" }, "…"));
    let message;
    try {
      message = await this.#read();
    } catch (error) {
      const isGone = error instanceof Problem && error.status === 404;
      fill(this.element, back(), h("h1", {}, t("title")), isGone ? note("warn", h("p", {}, t("no_such"))) : errorNote(error, { known: KNOWN, retry: () => this.begin() }));
      return;
    }
    if (this.isStopped) return;
    this.#build(message);
    this.show(message);
    this.element.querySelector("h1").focus({ preventScroll: true });
    if (message.state !== "draft") this.recipients.begin();
    this.#follow(message);
  }

  stop() {
    this.isStopped = true;
    this.poll.stop();
    for (const part of this.parts) part.stop?.();
  }

  #read(signal) {
    return this.context.api.get(`/messages/${encodeURIComponent(this.id)}`, { lang: language }, { signal });
  }

  async #turn(signal) {
    const message = await this.#read(signal);
    this.isStale ||= JSON.stringify(message.counts) !== JSON.stringify(this.message.counts) || message.state !== this.message.state;
    this.show(message);
    if (this.isStale) this.isStale = !(await this.recipients.renew(message, signal));
    return isMoving(message) || this.isStale ? pauseMs(message) : null;
  }

  #follow(message) {
    if (isMoving(message)) this.poll.start(pauseMs(message));
  }

  #build(message) {
    const { api } = this.context;
    this.title = h("h1", { tabindex: "-1" });
    this.state = h("div", { class: "row" });
    this.meaning = h("p", {});
    this.refusal = h("div", { class: "message-refusal" });
    this.textTitle = h("h2", { id: "text-title" });
    this.text = h("p", { class: "text message-text" });
    this.line = h("p", { class: "figure" });
    this.counted = h("p", { class: "small soft" });
    this.renewed = h("p", { class: "small soft list-status", role: "status" });
    this.aloud = h("p", { class: "heard", role: "status" });
    this.bar = new Bar();
    this.curve = new Curve(message.time_zone);
    this.curvePlace = h("div", { class: "stack" }, h("h3", {}, t("curve")), this.curve.element);
    this.history = h("ol", { class: "stack small history" });
    this.credits = new Credits(api, message);
    this.recipients = new Recipients(api, message);
    this.answers = new Answers(api, message);
    const changed = (shown) => {
      this.show(shown);
      this.poll.start(1_000); // at least once more: what was asked for takes a moment
    };
    this.acts = new Acts(this.context, message, changed, () => this.poll.start());
    this.parts = [this.acts, this.curve, this.recipients, this.answers];
    this.progress = h("section", { class: "panel stack", "aria-labelledby": "progress-title" }, h("h2", { id: "progress-title" }, t("progress")), this.line, this.counted, this.bar.element, this.curvePlace);
    fill(
      this.element,
      back(),
      h("header", { class: "stack" }, this.title, this.state, this.meaning, this.refusal),
      this.acts.element,
      this.renewed,
      this.aloud,
      h(
        "div",
        { class: "message-columns" },
        h("div", { class: "stack" }, h("section", { class: "panel stack", "aria-labelledby": "text-title" }, this.textTitle, this.text), this.progress),
        h("div", { class: "stack" }, this.credits.element, h("section", { class: "panel stack", "aria-labelledby": "history-title" }, h("h2", { id: "history-title" }, t("history")), this.history)),
      ),
      this.recipients.element,
      this.answers.element,
    );
  }

  /** Brings what is shown up to date, piece by piece. */
  show(message) {
    const before = this.message;
    this.message = message;
    const title = `${t(message.category)}, ${moment(message.send_at ?? message.accepted_at ?? message.created_at, message.time_zone)}`;
    if (this.title.textContent !== title) this.title.textContent = title;
    if (message.state !== before?.state) fill(this.state, stateTag(message));
    this.meaning.textContent = message.meaning;
    fill(this.refusal, message.refusal && note("warn", h("p", {}, t("refusal")), h("p", {}, [message.refusal.title, message.refusal.detail].filter(Boolean).join(". "))));
    this.textTitle.textContent = t(message.state === "draft" || message.state === "scheduled" ? "text_draft" : "text");
    this.text.textContent = message.text;
    const progress = progressOf(message);
    this.progress.hidden = progress === null;
    if (progress) this.#showProgress(message, progress);
    const history = JSON.stringify([message.history, message.despite_quiet_hours_by]);
    if (history !== this.knownHistory) {
      this.knownHistory = history;
      fill(this.history, message.history.map((one) => act(one, message.time_zone)), message.despite_quiet_hours_by && h("li", {}, t("despite", message.despite_quiet_hours_by)));
    }
    this.acts.show(message);
    this.credits.show(message);
    this.recipients.choices(message);
    this.recipients.element.hidden = message.state === "draft" || message.state === "planning";
    this.answers.show(message);
  }

  #showProgress(message, progress) {
    const words = t(progress.isInbox ? "put_of" : "reached_of", progress.done, progress.all);
    this.line.textContent = words;
    this.counted.textContent = t("counted", time(message.counted_at ?? Date.now(), { seconds: true, timeZone: message.time_zone }));
    this.bar.element.hidden = !message.recipients;
    if (message.recipients && message.counts) this.bar.show(message.counts);
    const points = curveOf(message);
    this.curvePlace.hidden = points.length < 2;
    if (points.length > 1) this.curve.show(points, message.recipients);
    // Rarely: each other figure said aloud would talk over whoever reads.
    const isDue = Date.now() - (this.saidAt ?? 0) >= SAID_EVERY_MS || progress.done === progress.all;
    if (this.said && this.said !== words && isDue) {
      this.aloud.textContent = words;
      this.saidAt = Date.now();
    }
    this.said = isDue || !this.said ? words : this.said;
  }
}

export const back = () => h("p", { class: "no-print" }, h("a", { class: "button plain", href: "#/messages" }, `← ${t("back")}`));

function act(one, timeZone) {
  const who = one.by === "recado" ? null : one.by;
  const words = actWords(one.act);
  return h("li", {}, h("span", { class: "soft" }, `${moment(one.at, timeZone)} · `), who ? `${who} ${words}` : words[0].toUpperCase() + words.slice(1));
}
