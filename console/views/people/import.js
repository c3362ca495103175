// One import of a roster: its upload, how far the comparing is, what it would change, and the word to apply or discard it.
import { NoAnswer, OnceKey, Problem } from "../../lib/api.js";
import { fill, h } from "../../lib/dom.js";
import { errorNote, note } from "../../lib/say.js";
import { Poll } from "../messages/poll.js";
import { Acts } from "./imports/acts.js";
import { Summary } from "./imports/bar.js";
import { Changes } from "./imports/changes.js";
import { BadRows } from "./imports/rows.js";
import { hasDiff, hasEnded, problemWords, progressOf, stateTag } from "./imports/states.js";
import { uploadOf } from "./imports/upload.js";
import { UploadPart } from "./imports/upload_part.js";
import { KNOWN, t } from "./imports/words.js";

const FIRST_MS = 1_000;
const SLOWER = 1.3;
const SLOWEST_MS = 5_000;
const READY_MS = 10_000; // somebody else may apply it
const NUDGE_AFTER_MS = 10_000; // all was sent, and comparing has not begun

export class Import {
  constructor(context, id) {
    this.context = context;
    this.id = id;
    this.pause = FIRST_MS;
    this.checkKey = new OnceKey();
    this.element = h("div", { class: "stack imports" }, back(), h("h1", {}, t("title")), h("p", { class: "soft", role: "status" }, "…"));
    this.poll = new Poll((signal) => this.#turn(signal), (error) => this.#failed(error));
  }

  begin() {
    this.poll.start();
  }

  stop() {
    this.poll.stop();
    this.acts?.stop();
    this.uploadPart?.stop();
    this.changes?.stop();
  }

  async #turn(signal) {
    const one = await this.context.api.get(`/imports/${encodeURIComponent(this.id)}`, {}, { signal });
    this.#show(one);
    await this.#nudge(one, signal);
    if (hasEnded(one)) return null;
    if (one.state === "ready") return READY_MS;
    this.pause = Math.min(SLOWEST_MS, this.pause * SLOWER);
    return this.pause;
  }

  #failed(error) {
    if (this.one) {
      this.renewed.textContent = error ? t("not_renewed") : "";
      this.aloud.textContent = this.renewed.textContent;
      return;
    }
    if (!error) return;
    const isGone = error instanceof Problem && error.status === 404;
    if (isGone) this.poll.stop();
    fill(this.element, back(), h("h1", {}, t("title")), isGone ? note("warn", h("p", {}, t("no_such"))) : errorNote(error, { known: KNOWN, retry: () => this.poll.start() }));
  }

  /** Comparing begins by itself when the last file has arrived; if the word of it was lost, it is said. */
  async #nudge(one, signal) {
    const upload = uploadOf(one.id);
    if (one.state !== "waiting_for_upload" || upload?.state !== "arrived" || Date.now() - upload.arrivedAt < NUDGE_AFTER_MS) return;
    upload.arrivedAt = Date.now();
    const path = `/imports/${encodeURIComponent(one.id)}/check`;
    try {
      await this.context.api.send("POST", path, undefined, { key: this.checkKey.of(path), signal });
      this.checkKey.done();
    } catch (error) {
      if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
      this.checkKey.done(); // what is there now is another question
      if (error.body?.missing) upload.miss(error.body.missing);
    }
  }

  #build(one) {
    const { api } = this.context;
    this.title = h("h1", { tabindex: "-1" }, t("one_title", one.started_at));
    this.state = h("div", { class: "row" });
    this.renewed = h("p", { class: "small soft" });
    this.aloud = h("p", { class: "heard", role: "status" });
    this.words = h("div", { class: "stack" });
    this.workWords = h("p", { role: "status" });
    this.bar = h("progress", { "aria-label": t("work_label") });
    this.work = h("div", { class: "stack" }, this.workWords, this.bar, h("p", { class: "small soft" }, t("work_stays")));
    this.uploadPart = new UploadPart(this.context, one.id, {
      onChanged: (changed) => this.#changed(changed),
      onArrived: () => this.#soon(),
    });
    this.acts = new Acts(api, { onChanged: (changed) => this.#changed(changed), onRefused: () => this.poll.start(), home: () => this.title.focus() });
    this.summary = new Summary();
    this.summaryTitle = h("h2", { id: "summary-title" });
    this.summaryPlace = h("section", { class: "panel stack", "aria-labelledby": "summary-title" }, this.summaryTitle, this.summary.element);
    this.changes = new Changes(api, one.id);
    this.rows = new BadRows(api, one.id);
    this.now = h("section", { class: "panel stack import-now", "aria-label": t("state") }, this.state, this.words, this.uploadPart.element, this.work, this.acts.element, this.renewed, this.aloud);
    fill(
      this.element,
      back(),
      h("header", { class: "stack" }, this.title, h("p", { class: "soft small" }, t("started_by", one.started_by, one.files.join(", ")))),
      this.now,
      this.summaryPlace,
      this.rows.element,
      this.changes.element,
    );
    this.title.focus({ preventScroll: true });
  }

  #changed(one) {
    this.#show(one);
    this.#soon();
  }

  #soon() {
    this.pause = FIRST_MS;
    this.poll.start(300);
  }

  /** Brings what is shown up to date, piece by piece. */
  #show(one) {
    const before = this.one;
    if (!before) this.#build(one);
    this.one = one;
    if (one.state !== before?.state) {
      fill(this.state, stateTag(one));
      fill(this.words, this.#said(one));
      if (before) this.aloud.textContent = t("did_renew", t(one.state));
    }
    const isWorking = ["checking", "waiting", "applying"].includes(one.state);
    this.work.hidden = !isWorking;
    if (isWorking) this.#showProgress(progressOf(one));
    this.uploadPart.show(one);
    this.acts.show(one);
    const isKnown = hasDiff(one);
    for (const part of [this.summaryPlace, this.changes.element, this.rows.element]) part.hidden = !isKnown;
    if (!isKnown) {
      this.changes.stop();
      return;
    }
    this.summaryTitle.textContent = t(one.state === "done" ? "summary_done" : "summary");
    this.#showDiff(one);
  }

  #showProgress({ words, done, total }) {
    if (this.workWords.textContent !== words) this.workWords.textContent = words;
    if (total) {
      this.bar.max = total;
      this.bar.value = done;
    } else this.bar.removeAttribute("value");
  }

  #showDiff(one) {
    const figures = JSON.stringify(one.kinds);
    if (figures !== this.figures) this.summary.show(one);
    this.figures = figures;
    this.changes.show(one);
    this.rows.show(one);
  }

  #said(one) {
    const another = () => h("p", {}, h("a", { class: "button", href: "#/people/imports" }, t("another")));
    switch (one.state) {
      case "ready":
        return h("p", {}, isSame(one) ? t("same") : t("ready_text"));
      case "done":
        return note("good", h("p", {}, t("done_text", one.applied_by ?? one.started_by, one.finished_at)), h("p", {}, isSame(one) ? t("done_nothing") : t("applied_text", one.counts)));
      case "discarded":
        return [h("p", {}, t("discarded_text", one.discarded_by, one.finished_at)), another()];
      case "refused":
        return [note("bad", h("p", {}, t("refused_text")), h("ul", { class: "stack small" }, one.problems.map((problem) => h("li", {}, problemWords(problem)))), one.problems.some(isFormat) && h("p", {}, t("is_it_oneroster"))), another()];
      default:
        return null;
    }
  }
}

const isFormat = ({ code }) => code === "missing_file" || code === "missing_column";

const isSame = (one) => Object.values(one.kinds).every((counts) => counts.new + counts.changed + counts.gone === 0);

const back = () => h("p", {}, h("a", { class: "button plain", href: "#/people/imports" }, `← ${t("all")}`));
