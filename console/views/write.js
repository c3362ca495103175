// Writing a message: the text, for whom, how and when, what it costs and whom it reaches; then the last look, and it goes out.
import { NoAnswer, Problem } from "../lib/api.js";
import { fill, h, icon } from "../lib/dom.js";
import { actionButton, errorNote, note } from "../lib/say.js";
import { language } from "../lib/words.js";
import { AudiencePicker, known } from "./write/audience.js";
import { Compose } from "./write/compose.js";
import { Confirm } from "./write/confirm.js";
import { Leaving } from "./write/leaving.js";
import { readAs } from "./write/preview.js";
import { costOf, lackingOf, PAGE, Result, zonesOf } from "./write/result.js";
import { Sender } from "./write/sender.js";
import { contentOf, emptyState, goesBySms, missingOf, stateOf } from "./write/state.js";
import { Templates } from "./write/templates.js";
import { hasFields } from "./write/texts.js";
import { When } from "./write/when.js";
import { t, WORDS } from "./write/words.js";

const WAIT_MS = 600; // after the last key
const LOOK_AGAIN_MS = 2000; // at a large audience that is being worked out
const LOOK_AGAIN_MAX_MS = 30_000;
const LOOKS_MAX = 300;
const NAMES_MAX = 40; // people of a draft whose names are asked for
const NAMED_IN_CHANGE_MAX = 5;
const RETRY_SECONDS_MAX = 120;

class RecadoWrite extends HTMLElement {
  connectedCallback() {
    this.turn = 0; // of what is being worked out: an answer to an older question is nobody's
    this.estimate = null;
    this.held = {};
    this.isScheduled = false;
    this.isFixed = false;
    this.begin();
  }

  disconnectedCallback() {
    this.turn += 1;
    clearTimeout(this.timer);
    this.asked?.abort();
    this.audience?.stop();
    this.leaving?.stop();
    this.confirm?.close();
  }

  /** Reads the school, its groups and the draft, then shows all of it. */
  async begin() {
    const { api, path } = this.context;
    const id = path[0] ?? null;
    fill(this, h("h1", {}, t("title")), h("p", { class: "soft", role: "status" }, t("counting")));
    let school, groups, message, state;
    try {
      [school, { groups }, message] = await Promise.all([api.get("/school"), api.get("/groups"), id && api.get(`/messages/${encodeURIComponent(id)}`)]);
      state = message ? await this.#named(stateOf(message)) : emptyState();
    } catch (error) {
      const isGone = error instanceof Problem && error.status === 404;
      fill(this, h("h1", {}, t("title")), isGone ? note("warn", h("p", {}, t("no_such")), h("p", {}, h("a", { class: "button", href: "#/write" }, t("write_new")))) : errorNote(error, { retry: () => this.begin() }));
      return;
    }
    if (!this.isConnected) return;
    if (message && !["draft", "scheduled"].includes(message.state)) {
      fill(this, h("h1", {}, t("title")), note("warn", h("p", {}, t("not_a_draft")), h("p", {}, h("a", { class: "button", href: `#/messages/${message.id}` }, t("see_message")))));
      return;
    }
    this.#build(school, groups, message, state);
  }

  // --- sending: asked by the dialog ---

  /** Sends what the dialog shows; what the API refuses is told there. */
  async send({ despite = false }) {
    const { state, estimate } = this;
    const at = state.when === "later" ? state.at + state.offset : "";
    try {
      this.#sent(await this.sender.send(contentOf(state), { digest: estimate.digest, at, despite, isFixed: this.isFixed }));
    } catch (error) {
      await this.#refused(error);
    }
  }

  async sendAgain() {
    try {
      this.#sent(await this.sender.again());
    } catch (error) {
      await this.#refused(error);
    }
  }

  #sent(message) {
    this.isDone = true;
    this.confirm.close();
    this.context.go(`messages/${message.id}`);
  }

  async #refused(error) {
    if (!(error instanceof NoAnswer) && !(error instanceof Problem)) throw error;
    const { confirm } = this;
    this.#bar();
    if (this.sender.pending) {
      confirm.showPending();
      if (error.status === 429) confirm.showError(error);
      return;
    }
    const again = () => this.send({});
    const acts = {
      plan_changed: () => this.#planChanged(error.body),
      quiet_hours: () =>
        confirm.showQuiet(error, {
          schedule: () => {
            Object.assign(this.state, { when: "later", at: error.body.next_allowed_at_local.slice(0, 16), offset: "" });
            this.when.update();
            this.#bar();
            confirm.open();
          },
          despite: () => this.send({ despite: true }),
        }),
      not_enough_credits: () => confirm.showRefusal(t("lacking", error.body.missing), h("a", { class: "button", href: "#/credits" }, icon("credits"), t("buy")), this.#freeButton()),
      contract_suspended: () => confirm.showRefusal(t("suspended"), this.#freeButton()),
      nobody_to_reach: () => confirm.showRefusal(t("nobody"), this.#freeButton()),
      changed_meanwhile: () => confirm.showRefusal(t("conflict"), ...this.#conflictActs(again)),
      audience_too_large: () => confirm.showRefusal(t("too_large_to_change")),
      wrong_state: () => confirm.showRefusal(t("not_a_draft"), this.sender.draft && h("a", { class: "button", href: `#/messages/${this.sender.draft.id}` }, t("see_message"))),
      invalid_request: () => this.#invalid(error),
    };
    if (acts[error.code]) await acts[error.code]();
    else confirm.showError(error);
  }

  /** Not what was shown: says what is different, and shows the figures of now to confirm again. */
  async #planChanged(changes) {
    const { api } = this.context;
    const some = (changes.people ?? []).slice(0, NAMED_IN_CHANGE_MAX);
    const people = await Promise.all(
      some.map(async (one) => ({ name: await nameOf(api, one.id), was: one.was, is: one.is, isState: one.changed.includes("state") })),
    );
    this.estimate = null;
    await this.#work();
    if (this.estimate === null) {
      this.confirm.close(); // the page says why
      return;
    }
    this.confirm.refresh();
    this.confirm.showChanges(changes, people);
  }

  #invalid(error) {
    const wrong = error.fields[0];
    if (wrong && /\/at$/.test(wrong.field)) {
      this.confirm.close();
      this.#wrongTime(wrong);
      return;
    }
    this.confirm.showRefusal(wordsOfField(wrong));
  }

  /** Where clocks change: a time that is not there, or comes twice. */
  #wrongTime({ code, detail }) {
    const choose = (label, change) => {
      const button = h("button", { type: "button", class: "button" }, label);
      button.addEventListener("click", () => {
        Object.assign(this.state, change);
        this.when.update();
        this.when.say("");
        this.reviewButton.focus();
      });
      return button;
    };
    const first = /\d{4}-\d\d-\d\dT\d\d:\d\d/.exec(detail)?.[0];
    const offsets = detail.match(/[+-]\d\d:\d\d/g) ?? [];
    if (code === "no_such_local_time" && first) this.when.say(t("gap", first.slice(11)), choose(t("gap_use"), { at: first, offset: "" }));
    else if (code === "ambiguous_local_time" && offsets.length === 2) {
      this.when.say(t("twice"), choose(`${t("twice_first")} (${offsets[0]})`, { offset: offsets[0] }), choose(`${t("twice_second")} (${offsets[1]})`, { offset: offsets[1] }));
    } else this.when.say(wordsOfField({ code }));
    this.when.input.focus();
  }

  #freeButton() {
    const button = h("button", { type: "button", class: "button" }, icon("inbox"), t("to_inbox"));
    button.addEventListener("click", () => {
      this.confirm.close();
      this.#toInbox();
    });
    return button;
  }

  #toInbox() {
    this.state.by = "inbox";
    this.when.update();
    this.changed();
    this.reviewButton.focus();
  }

  #conflictActs(again) {
    const theirs = h("button", { type: "button", class: "button" }, t("conflict_theirs"));
    theirs.addEventListener("click", () => {
      this.isDone = true;
      this.confirm.close();
      this.context.path = [this.sender.draft.id];
      this.disconnectedCallback();
      this.isDone = false;
      this.connectedCallback();
    });
    const mine = actionButton(t("conflict_mine"), async () => {
      try {
        this.sender.draft.revision = (await this.context.api.get(`/messages/${this.sender.draft.id}`)).revision;
      } catch (error) {
        this.confirm.showError(error);
        return;
      }
      await again();
    });
    return [mine, theirs];
  }

  // --- what is on the page ---

  #build(school, groups, message, state) {
    const { api } = this.context;
    Object.assign(this, { school, state, sender: new Sender(api, message, message && contentOf(state)) });
    this.isScheduled = message?.state === "scheduled";
    this.isFixed = Boolean(message?.audience.again_of);
    this.held = this.isScheduled ? message.credits_held : {};
    this.compose = new Compose(state, () => this.changed());
    this.audience = new AudiencePicker(api, groups, state, () => this.changed());
    this.when = new When(school, state, (isContent) => (isContent ? this.changed() : this.#bar()), { isScheduled: this.isScheduled });
    this.templates = new Templates(api, state, () => {
      this.compose.refill();
      this.changed();
    });
    this.result = new Result(this.context, { askPage: (which, cursor) => this.#ask(contentOf(state), { state: which, cursor }), toInbox: () => this.#toInbox() });
    this.confirm = new Confirm(this);
    this.leaving = new Leaving(this, { isDirty: () => this.#isDirty(), save: this.isScheduled ? null : () => this.sender.save(contentOf(this.state)) });
    this.barWords = h("p", { class: "tabular", role: "status" });
    this.barNote = h("div", { class: "stack" });
    this.reviewButton = h("button", { type: "button", class: "button main" }, icon("send"), h("span", {}, ""));
    this.reviewButton.addEventListener("click", () => this.#review());
    this.saveButton = actionButton(t("save_draft"), () => this.#save());
    const bar = h("div", { class: "panel send-bar stack" }, this.barNote, h("div", { class: "row apart" }, this.barWords, h("div", { class: "row" }, !this.isScheduled && !this.isFixed && this.saveButton, this.reviewButton)));
    const fixed = h("section", { class: "panel stack" }, h("h2", {}, t("who_title")), h("p", {}, t("audience_again")));
    fill(
      this,
      h("h1", {}, t(this.isScheduled ? "title_scheduled" : message ? "title_draft" : "title")),
      school.contract === "suspended" && note("warn", h("p", {}, t("suspended"))),
      school.is_sandbox && note("info", h("p", {}, t("sandbox"))),
      h("div", { class: "write" }, h("div", { class: "stack" }, this.compose.element, !this.isFixed && this.templates.element, this.when.element), h("div", { class: "stack" }, this.isFixed ? fixed : this.audience.element, this.result.element, bar)),
      this.confirm.element,
      this.leaving.element,
    );
    if (this.isFixed) {
      this.compose.lock();
      for (const control of this.when.ways.element.querySelectorAll("input")) control.disabled = true;
      this.when.unreachable.disabled = true;
    }
    this.changed();
  }

  /** Something of what is sent is another: the figures are nobody's until they are worked out again. */
  changed() {
    this.turn += 1;
    this.estimate = null;
    this.asked?.abort();
    clearTimeout(this.timer);
    this.compose.theirs = null;
    this.compose.update();
    this.compose.say("");
    this.when.update();
    const missing = this.isFixed ? [] : missingOf(this.state);
    if (missing.length) this.result.showMissing(missing);
    else {
      this.result.showBusy();
      this.timer = setTimeout(() => this.#work(), WAIT_MS);
    }
    this.#bar();
  }

  /** Works out what it would come to, however long that takes; shows it if nothing has changed meanwhile. */
  async #work() {
    clearTimeout(this.timer);
    this.turn += 1;
    const mine = this.turn;
    const content = contentOf(this.state);
    this.asked = new AbortController();
    try {
      let estimate = await this.#ask(content, {}, this.asked.signal);
      if (!estimate.is_ready && this.isScheduled) {
        if (mine === this.turn) this.result.showNote("warn", h("p", {}, t("too_large_to_change")));
        return;
      }
      if (!estimate.is_ready) estimate = await this.#wait(estimate, mine);
      if (mine !== this.turn || estimate === null) return;
      this.estimate = estimate;
      this.result.show(estimate, this.state, this.held);
      this.compose.update(estimate);
      this.#bar();
      await this.#showTheirs(estimate, mine);
    } catch (error) {
      if (mine !== this.turn) return;
      this.#notWorkedOut(error);
    }
  }

  async #ask(content, page, signal) {
    const { api } = this.context;
    const asked = { limit: PAGE, cursor: page.cursor ?? 0, ...(page.state ? { state: page.state } : {}) };
    if (this.sender.draft && !this.isScheduled) {
      if (!this.isFixed) await this.#saveInTurn(content);
      return api.send("POST", `/messages/${this.sender.draft.id}/estimate?lang=${language}`, asked, { signal });
    }
    const estimate = await api.send("POST", `/messages/estimate?lang=${language}`, { ...content, ...asked }, { signal });
    // A large audience has made a draft, which is this message from now on.
    if (estimate.message_id && !this.isScheduled && this.sender.draft === null) {
      this.sender.adopt({ id: estimate.message_id, revision: 0, state: "draft" }, content);
      this.#showAddress();
    }
    return estimate;
  }

  /** One after the other: two edits at once would be a conflict with oneself. */
  #saveInTurn(content) {
    const saved = (this.saving ?? Promise.resolve()).then(() => this.sender.save(content));
    this.saving = saved.catch(() => {}); // whoever asked hears of it; the next one begins anew
    return saved;
  }

  /** A large audience is worked out in the background: looks again, while the page is seen, until it is there. */
  async #wait(estimate, mine) {
    let pause = LOOK_AGAIN_MS;
    for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
      if (mine !== this.turn) return null;
      if (estimate.is_ready) return estimate;
      if (estimate.progress.refusal) throw new Problem(409, estimate.progress.refusal, null);
      this.result.showProgress(estimate.progress);
      await seen(pause);
      if (mine !== this.turn) return null;
      try {
        estimate = await this.context.api.send("POST", `/messages/${this.sender.draft.id}/estimate?lang=${language}`, { limit: PAGE });
        pause = LOOK_AGAIN_MS;
      } catch (error) {
        const isPassing = error instanceof NoAnswer || error.status === 429 || error.status >= 500;
        if (!isPassing) throw error;
        pause = Math.max(Math.min(2 * pause, LOOK_AGAIN_MAX_MS), 1000 * Math.min(error.retryAfterSeconds ?? 0, RETRY_SECONDS_MAX));
      }
    }
    this.result.showNote("bad", h("p", {}, t("too_long_waiting")));
    return null;
  }

  #notWorkedOut(error) {
    if (!(error instanceof NoAnswer) && !(error instanceof Problem)) throw error;
    const wrong = error.code === "invalid_request" ? error.fields[0] : null;
    if (wrong?.field === "/text") {
      this.compose.say(wordsOfField(wrong));
      this.result.showNote("bad", h("p", {}, wordsOfField(wrong)));
    } else if (wrong) this.result.showNote("bad", h("p", {}, wordsOfField(wrong)));
    else if (error.code === "changed_meanwhile") this.result.showNote("bad", h("p", {}, t("conflict")), h("div", { class: "row" }, this.#conflictActs(() => this.#work())));
    else if (error.code === "wrong_state") this.result.showNote("bad", h("p", {}, t("not_a_draft")), h("p", {}, h("a", { class: "button", href: `#/messages/${this.sender.draft?.id ?? ""}` }, t("see_message"))));
    else this.result.showError(error, {}, () => this.changed());
    if (error.status === 429) this.timer = setTimeout(() => this.#work(), 1000 * Math.min(error.retryAfterSeconds ?? 60, RETRY_SECONDS_MAX));
  }

  /** The text as somebody of the list gets it; until then, and if that cannot be asked, it stays with neutral words. */
  async #showTheirs(estimate, mine) {
    if (!hasFields(this.state.text)) return;
    const found = await readAs(this.context.api, this.state, estimate, this.audience.tree.byId);
    if (found && mine === this.turn) this.compose.showTheirs(found.name, found.text);
  }

  #review() {
    if (this.sender.pending) {
      if (!this.confirm.element.open) this.confirm.element.showModal();
      this.confirm.showPending();
      return;
    }
    if (!this.#isReady()) {
      this.#focusMissing();
      return;
    }
    if (!this.when.isGood()) {
      this.when.input.focus();
      return;
    }
    this.confirm.open();
  }

  #isReady() {
    return this.estimate !== null && lackingOf(zonesOf(this.estimate, this.held)) === 0;
  }

  #focusMissing() {
    const missing = this.isFixed ? [] : missingOf(this.state);
    const at = { missing_category: "#category", missing_text: "#text", missing_notice: "#category-advice button", missing_who: ".plain-set input", missing_groups: ".tree-list input" };
    const place = missing.length ? this.querySelector(at[missing[0]]) : this.result.element.querySelector("button, a");
    place?.focus();
  }

  #bar() {
    const { estimate, state } = this;
    this.reviewButton.lastChild.textContent = t(this.isScheduled ? "review_changes" : state.when === "later" ? "review_later" : "review");
    this.reviewButton.setAttribute("aria-disabled", String(!this.#isReady() && !this.sender.pending));
    const zones = estimate ? zonesOf(estimate, this.held) : [];
    const lacking = lackingOf(zones);
    const words = !estimate
      ? t("bar_wait")
      : !goesBySms(state)
        ? t("bar_free")
        : lacking
          ? t("bar_lacking", lacking)
          : t("bar_ready", costOf(estimate), zones.reduce((sum, one) => sum + one.after, 0));
    if (this.barWords.textContent !== words) this.barWords.textContent = words;
    this.#barNote();
  }

  #barNote() {
    const { sender } = this;
    if (sender.pending) {
      if (this.barNote.dataset.shown === "pending") return;
      this.barNote.dataset.shown = "pending";
      const drop = h("button", { type: "button", class: "button plain" }, t("pending_drop"));
      drop.addEventListener("click", () => {
        sender.pending = null;
        this.#bar();
        this.compose.area.focus();
      });
      fill(this.barNote, note("bad", h("p", {}, t("pending")), h("div", { class: "row" }, h("a", { class: "button", href: "#/messages" }, t("pending_look")), drop)));
      return;
    }
    const words = sender.draft === null || this.isFixed ? "" : !sender.isSaved(contentOf(this.state)) ? t("unsaved") : this.isScheduled ? "" : t("draft_saved");
    if (this.barNote.dataset.shown === words) return;
    this.barNote.dataset.shown = words;
    fill(this.barNote, words && h("p", { class: "small soft", role: "status" }, words));
  }

  async #save() {
    try {
      await this.#saveInTurn(contentOf(this.state));
      this.#showAddress();
      delete this.barNote.dataset.shown;
      this.#bar();
    } catch (error) {
      if (!(error instanceof NoAnswer) && !(error instanceof Problem)) throw error;
      const missing = missingOf(this.state);
      const wrong = error.code === "invalid_request" ? error.fields[0] : null;
      const said = error.code === "notice_by_sms_not_confirmed" ? t("missing_notice") : missing.length ? missing.map((one) => t(one)).join("; ") : null;
      this.barNote.dataset.shown = "wrong";
      if (error.code === "changed_meanwhile") fill(this.barNote, note("bad", h("p", {}, t("conflict")), h("div", { class: "row" }, this.#conflictActs(() => this.#save()))));
      else fill(this.barNote, said ? note("bad", h("p", {}, `${t("missing")} ${said}`)) : wrong ? note("bad", h("p", {}, wordsOfField(wrong))) : errorNote(error, { retry: () => this.#save() }));
    }
  }

  /** The draft's own address, without leaving what is being written. */
  #showAddress() {
    const address = `#/write/${this.sender.draft.id}`;
    if (location.hash !== address) history.replaceState(null, "", location.pathname + location.search + address);
    this.#barNote();
  }

  #isDirty() {
    if (this.isDone || this.isFixed || !this.state.text.trim()) return false;
    return !this.sender.isSaved(contentOf(this.state));
  }

  /** A draft names people by their ids. */
  async #named(state) {
    const { api } = this.context;
    for (const place of [state.people, state.minusPeople]) {
      const asked = [...place.keys()].slice(0, NAMES_MAX).map(async (id) => {
        try {
          place.set(id, known(await api.get(`/people/${encodeURIComponent(id)}`)));
        } catch (error) {
          if (error.status !== 404) throw error; // whoever is gone keeps the id, and the estimate says so
        }
      });
      await Promise.all(asked);
    }
    return state;
  }
}

function wordsOfField(wrong) {
  const name = `wrong_${wrong?.code}`;
  return t(name in WORDS[language] ? name : "wrong_other");
}

async function nameOf(api, id) {
  try {
    return known(await api.get(`/people/${encodeURIComponent(id)}`)).name;
  } catch (error) {
    if (error instanceof Problem || error instanceof NoAnswer) return id; // the change is told without the name
    throw error;
  }
}

/** So long, and then until the page is seen. */
async function seen(ms) {
  await new Promise((resolve) => setTimeout(resolve, ms));
  while (document.visibilityState === "hidden") {
    await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
  }
}

customElements.define("recado-write", RecadoWrite);
