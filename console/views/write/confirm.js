// The last look before it goes out: the figures that will be charged, and what to do when the API says no.
import { fill, h, icon } from "../../lib/dom.js";
import { moment, number } from "../../lib/format.js";
import { actionButton, errorNote, note } from "../../lib/say.js";
import { costOf, figures, skippedOf, zonesOf } from "./result.js";
import { goesBySms } from "./state.js";
import { fillNeutral } from "./texts.js";
import { t } from "./words.js";

export class Confirm {
  /** `view` knows the state, the estimate, and sends. */
  constructor(view) {
    this.view = view;
    this.title = h("h2", { id: "confirm-title", tabindex: "-1" });
    this.said = h("div", { class: "stack" });
    this.body = h("div", { class: "stack" });
    this.buttons = h("div", { class: "row confirm-buttons" });
    this.element = h("dialog", { class: "confirm", "aria-labelledby": "confirm-title" }, h("div", { class: "stack" }, this.title, this.said, this.body, this.buttons));
  }

  open() {
    fill(this.said);
    this.refresh();
    if (!this.element.open) this.element.showModal();
    this.title.focus();
  }

  close() {
    if (this.element.open) this.element.close();
  }

  /** The figures as they are now. */
  refresh() {
    const { state, estimate, school, held, isScheduled } = this.view;
    const cost = costOf(estimate);
    const isLater = state.when === "later";
    this.title.textContent = t(isScheduled ? "confirm_title_changes" : isLater ? "confirm_title_later" : "confirm_title");
    const skipped = goesBySms(state) ? skippedOf(estimate) : 0;
    const out = estimate.by_state.opted_out ?? 0;
    const { theirs } = this.view.compose;
    const text = theirs?.text ?? fillNeutral(state.text, { withoutAccents: state.withoutAccents && goesBySms(state) });
    fill(
      this.body,
      h("p", { class: "with-icon" }, icon(isLater ? "clock" : "send"), h("span", {}, h("strong", {}, t(state.category)), " · ", isLater ? t("confirm_when", momentOnClock(state.at), school.time_zone) : t("confirm_when_now"))),
      theirs && h("p", { class: "small soft" }, t("preview_of", theirs.name)),
      h("p", { class: "bubble text" }, text),
      figures(estimate, state, zonesOf(estimate, held), cost),
      goesBySms(state) &&
        zonesOf(estimate, held)
          .filter((one) => one.cost > 0)
          .map((one) => h("p", { class: "tabular" }, `${t(one.zone)}: ${number(one.before)} − ${number(one.cost)} = ${number(one.after)}`)),
      skipped > 0 && h("p", { class: "with-icon" }, icon("warning"), h("span", {}, t("not_reached", skipped))),
      out > 0 && goesBySms(state) && h("p", { class: "red-number" }, icon("blocked"), ` ${t("opted_out")}: ${number(out)}`),
      h("p", { class: "small soft" }, t(isScheduled ? "confirm_held" : "confirm_same")),
    );
    this.send = actionButton(this.#label(cost, isLater), () => this.view.send({}), { kind: "main", iconName: isLater ? "clock" : "send" });
    const back = h("button", { type: "button", class: "button" }, t("back"));
    back.addEventListener("click", () => this.close());
    fill(this.buttons, this.send, back);
  }

  /** What went wrong, and what can be done about it from here. */
  say(...children) {
    fill(this.said, ...children);
    this.element.scrollTop = 0;
  }

  showError(error, known = {}) {
    this.say(errorNote(error, { known }));
  }

  /** Nobody knows whether it went out: only the very same can be asked again. */
  showPending() {
    this.say(note("bad", h("p", {}, t("pending"))));
    const again = actionButton(t("pending_again"), () => this.view.sendAgain(), { kind: "main" });
    const look = h("a", { class: "button", href: "#/messages" }, t("pending_look"));
    const back = h("button", { type: "button", class: "button" }, t("back"));
    back.addEventListener("click", () => this.close());
    fill(this.buttons, again, look, back);
    again.focus();
  }

  showQuiet(problem, { schedule, despite }) {
    const next = momentOnClock(problem.body.next_allowed_at_local.slice(0, 16));
    const later = h("button", { type: "button", class: "button" }, icon("clock"), t("quiet_next", next));
    later.addEventListener("click", schedule);
    this.say(note("bad", h("p", {}, t("quiet")), h("div", { class: "row" }, later, actionButton(t("quiet_despite"), despite))));
    later.focus();
  }

  showRefusal(words, ...acts) {
    this.say(note("bad", h("p", {}, words), acts.length > 0 && h("div", { class: "row" }, acts)));
  }

  /** `people`: [{name, was, is, isState}] of whom something is different. */
  showChanges({ now, shown, content_changed: isContent, people_changed: count = 0 }, people) {
    const lines = [];
    if (isContent) lines.push(t("changed_content"));
    if (shown) {
      const sum = (zones) => Object.values(zones).reduce((total, one) => total + one, 0);
      if (sum(shown.credits) !== sum(now.credits)) lines.push(t("changed_credits", sum(shown.credits), sum(now.credits)));
      for (const state of new Set([...Object.keys(shown.by_state), ...Object.keys(now.by_state)])) {
        const [was, is] = [shown.by_state[state] ?? 0, now.by_state[state] ?? 0];
        if (was !== is) lines.push(t("changed_state", t(state), was, is));
      }
    }
    for (const one of people) lines.push(one.isState ? t("changed_person", one.name, t(`one_${one.was}`), t(`one_${one.is}`)) : t("changed_number", one.name));
    if (count > people.length) lines.push(t("changed_more", count - people.length));
    this.say(note("bad", h("p", {}, t("changed")), h("ul", { class: "bullets" }, lines.map((line) => h("li", {}, line))), h("p", {}, t("changed_again"))));
    this.title.focus();
  }

  #label(cost, isLater) {
    if (this.view.isScheduled) return t("confirm_changes");
    if (!goesBySms(this.view.state)) return t(isLater ? "confirm_later_free" : "confirm_send_free");
    return t(isLater ? "confirm_later" : "confirm_send", cost);
  }
}

/** A time on the school's clocks, as people read it; it is no moment of anybody else's. */
export const momentOnClock = (local) => moment(`${local.slice(0, 16)}Z`, "UTC");
