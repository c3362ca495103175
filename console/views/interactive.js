// <recado-interactive>: writes to handsets and shows their answers, for as long as the session lives. When it ends nothing of it is left:
// every element is made anew, every variable let go of.
import { Api, NoAnswer, OnceKey, Problem } from "../lib/api.js";
import { countdown } from "../lib/format.js";
import { fill, h, icon } from "../lib/dom.js";
import { readSettings } from "../lib/host.js";
import { note } from "../lib/say.js";
import { Box } from "./interactive/box.js";
import { Composer } from "./interactive/composer.js";
import { Countdown, EXTEND_KEY } from "./interactive/countdown.js";
import { handsetList } from "./interactive/handset_list.js";
import { NumberField } from "./interactive/number_field.js";
import { numbersOfLink } from "./interactive/link.js";
import { keyOf } from "./interactive/numbers.js";
import { FOR_GOOD, errorWords, fieldWords, refusedWords, shown } from "./interactive/reasons.js";
import { ServerClock } from "./interactive/server_clock.js";
import { Session, isGone } from "./interactive/session.js";
import { t } from "./interactive/words.js";

const WAITED_FOR = ["still_sending", "still_running", "session_busy"]; // they pass by themselves, in a moment
const TRIES_MAX = 5;
const WAIT_SECONDS_MAX = 5;
const LAST_LOOK_SECONDS = 5;
const DRIFT_MS = 2000; // this machine slept, or somebody set its clock
const HEARD_MAX = 4;
const LONGER_MS = 2000; // less than that an extension did not bring

class Interactive extends HTMLElement {
  #clock = new ServerClock();
  #settings = null;
  #livePath = ""; // where sockets are under this page's own name; empty: where the API says
  #numbers = []; // [{typed, key}]
  #draft = "";
  #session = null;
  #reached = new Set(); // the numbers that the session writes to, as typed
  #left = new Set(); // whom the next text does not go to
  #refused = []; // as the API names them
  #problem = null; // the last error of sending
  #ended = null; // {by: "time" | "user", isUnsure, isNotTold}
  #isFromLink = false;
  #hadOne = false; // a session before: the next comes from other codes
  #isAsked = false;
  #isAsking = false; // whether it lives, at its last second
  #unread = 0;
  #once = new OnceKey();
  #parts = null; // what is shown: {field, composer, box, countdown, places}
  #tick = null;
  #forgetAt = null;
  #drift = 0;
  #polite = h("div", { class: "heard", "aria-live": "polite" });
  #urgent = h("div", { class: "heard", "aria-live": "assertive" });
  #place = h("div", { class: "stack" });

  connectedCallback() {
    this.append(this.#polite, this.#urgent, this.#place);
    this.#drift = Date.now() - performance.now();
    this.#tick = setInterval(this.#second, 1000);
    document.addEventListener("keydown", this.#pressed);
    document.addEventListener("visibilitychange", this.#looked);
    addEventListener("pagehide", this.#leave);
    addEventListener("beforeunload", this.#warnBeforeLeaving);
    addEventListener("hashchange", this.#readLink);
    for (const kind of ["input", "click"]) this.addEventListener(kind, this.#touched);
    this.#load();
  }

  disconnectedCallback() {
    this.#leave();
    clearInterval(this.#tick);
    document.removeEventListener("keydown", this.#pressed);
    document.removeEventListener("visibilitychange", this.#looked);
    removeEventListener("pagehide", this.#leave);
    removeEventListener("beforeunload", this.#warnBeforeLeaving);
    removeEventListener("hashchange", this.#readLink);
  }

  /** In the language of now; nothing is lost. */
  showAgain() {
    if (this.#settings === null) this.#load();
    else this.#build();
  }

  async #load() {
    fill(this.#place, h("h1", {}, t("title")), h("p", { class: "soft", role: "status" }, t("loading")));
    try {
      const [settings, here] = await Promise.all([new Api().get("/sessions/settings"), readSettings()]);
      this.#settings = settings;
      this.#livePath = here.live_path;
    } catch (error) {
      if (!(error instanceof NoAnswer || error instanceof Problem)) throw error;
      const again = h("button", { type: "button", class: "button", onClick: () => this.#load() }, t("again"));
      fill(this.#place, h("h1", {}, t("title")), note("bad", h("p", {}, t("not_loaded")), h("p", {}, again)));
      return;
    }
    this.#build();
    this.#readLink();
  }

  // --- what is shown

  /** Everything anew: the elements of before, and what browsers keep for them (an undo, a scroll), are gone. */
  #build() {
    const kept = this.#parts;
    const typed = kept?.field?.input.value ?? "";
    if (kept) this.#draft = kept.composer.text;
    const minutes = Math.round(this.#settings.idle_seconds / 60);
    const whom = h("div", { class: "stack" });
    const refused = h("div", { class: "stack" });
    const until = h("div", {});
    const about = h("div", { class: "stack" });
    const status = h("p", { class: "soft small sending", role: "status" });
    const connection = h("p", { class: "connection small", role: "status" });
    const box = new Box(this.#emptyBox(minutes));
    const composer = new Composer({
      text: this.#draft,
      settings: this.#settings,
      send: () => this.#send(),
      changed: () => (this.#draft = composer.text),
    });
    this.#parts = { field: null, composer, box, countdown: null, whom, refused, until, about, status, connection, minutes };
    fill(
      this.#place,
      h("div", { class: "opening" }, h("h1", {}, t("title")), h("p", { class: "soft" }, t("lead", minutes))),
      this.#settings.captcha_site_key !== null && note("warn", h("p", {}, t("captcha"))),
      h(
        "div",
        { class: "talk" },
        h("section", { class: "panel stack whom", "aria-labelledby": "whom-title" }, h("h2", { id: "whom-title" }, t("to_whom")), whom, refused),
        h(
          "section",
          { class: "panel chat", "aria-labelledby": "box-title" },
          h("div", { class: "row apart" }, h("h2", { id: "box-title", tabindex: "-1" }, t("box")), connection),
          until,
          box.element,
          h("div", { class: "stack composing" }, about, status, composer.element),
        ),
        this.#goodToKnow(),
      ),
    );
    this.#showWhom(typed);
    this.#showSession();
    this.#showProblem();
    if (this.#session) box.add(this.#session.lines);
  }

  #goodToKnow() {
    return h(
      "section",
      { class: "know small" },
      h("h2", {}, t("good_to_know")),
      h("ul", {}, [["credits", "know_free"], ["phone", "know_code"], ["close", "know_gone"]].map(([name, word]) => h("li", {}, icon(name), h("span", {}, t(word))))),
    );
  }

  #emptyBox(minutes) {
    if (this.#ended) return this.#endedBox(minutes);
    if (this.#session) return h("div", { class: "empty" }, h("p", {}, t("waiting")));
    return h("div", { class: "empty" }, h("span", { class: "drawn", "aria-hidden": "true" }, icon("messages")), h("p", {}, h("strong", {}, t("empty_title"))), h("p", {}, t("empty", minutes)));
  }

  #endedBox(minutes) {
    const { by, isUnsure, isNotTold } = this.#ended;
    const isKept = this.#forgetAt !== null;
    return h(
      "div",
      { class: "empty" },
      h("span", { class: "drawn", "aria-hidden": "true" }, icon("done")),
      h("h3", {}, t("ended_title")),
      h("p", {}, t(by === "user" ? "ended_user" : "ended_time")),
      isUnsure && h("p", {}, t("ended_unsure")),
      isNotTold && h("p", {}, t("ended_not_told")),
      h("p", {}, h("strong", {}, t("ended_again"))),
      isKept && h("p", { class: "small" }, t("kept", minutes)),
      isKept && h("p", {}, h("button", { type: "button", class: "button", onClick: () => this.#forget({ isAsked: true }) }, icon("close"), t("forget"))),
    );
  }

  /** The numbers: a field while nobody is written to, then the handsets of the session. */
  #showWhom(typed = "") {
    const { whom, refused } = this.#parts;
    if (this.#session) {
      this.#parts.field = null;
      fill(whom, handsetList({ handsets: this.#session.handsets, left: this.#left, isAgain: this.#hadOne }));
    } else {
      this.#parts.field = new NumberField({ numbers: this.#numbers, settings: this.#settings, say: (text) => this.#hear(text) });
      this.#parts.field.input.value = typed;
      fill(whom, this.#isFromLink && note("info", h("p", {}, t("from_link"))), this.#parts.field.element);
    }
    const words = this.#refused.map((one) => refusedWords(one, this.#clock, this.#shownOf(one.number)));
    const canTakeOut = !this.#session && this.#refused.length > 0;
    fill(
      refused,
      words.length > 0 &&
        h(
          "div",
          { class: "note warn" },
          icon("warning"),
          h(
            "div",
            { class: "stack small" },
            h("h3", {}, t("not_sent_to", words.length)),
            h("ul", { class: "refused" }, words.map(({ who, why }) => h("li", {}, h("strong", { class: "tabular" }, who), ": ", why))),
            canTakeOut && h("p", {}, h("button", { type: "button", class: "button", onClick: () => this.#takeOutRefused() }, t("take_out"))),
          ),
        ),
    );
  }

  #showSession() {
    const { until, minutes } = this.#parts;
    if (!this.#session) {
      this.#parts.countdown = null;
      fill(until);
    } else if (!this.#parts.countdown) {
      this.#parts.countdown = new Countdown({
        minutes,
        extend: () => this.#extend(),
        end: () => this.#endNow(),
        warn: (seconds) => this.#hearNow(t("soon_heard", seconds, minutes)),
      });
      fill(until, this.#parts.countdown.element);
    }
    this.#parts.box.setEmpty(this.#emptyBox(minutes));
    this.#showState();
    this.#showConnection();
    this.#second();
  }

  #showState() {
    const isSending = this.#session?.isSending ?? false;
    this.#parts.composer.setState({ isAsked: this.#isAsked, isSending });
    const said = isSending ? t("going_out") : "";
    if (this.#parts.status.textContent === said) return;
    if (!isSending && this.#session) this.#hear(t("went_out"));
    this.#parts.status.textContent = said;
  }

  #showConnection() {
    const { connection } = this.#parts;
    const session = this.#session;
    const [kind, text] = !session ? ["", ""] : session.isLive ? ["on", t("live")] : session.isFailing ? ["off", t("no_connection")] : ["", t("polling", session.pollSeconds)];
    connection.dataset.kind = kind;
    if (connection.textContent !== text) connection.textContent = text;
    connection.hidden = text === "";
  }

  #showProblem(...children) {
    const { about } = this.#parts;
    if (children.length > 0) fill(about, note("bad", ...children));
    else if (this.#problem) fill(about, note("bad", errorWords(this.#problem, this.#clock).filter(Boolean).map((words) => h("p", {}, words)), this.#anotherButton()));
    else fill(about);
  }

  #anotherButton() {
    if (this.#problem?.body?.limit !== "session_texts") return null;
    return h("p", {}, h("button", { type: "button", class: "button", onClick: () => this.#endNow({ isKept: true }) }, t("start_another")));
  }

  #shownOf(typed) {
    return shown(keyOf(typed, this.#settings.countries[0]) ?? typed);
  }

  // --- sending

  async #send() {
    if (this.#isAsked) return;
    const { composer, field } = this.#parts;
    this.#problem = null;
    this.#showProblem();
    if (this.#isWrong()) return;
    if (this.#session?.isSending) {
      this.#hear(t("wait_turn"));
      return;
    }
    const text = composer.text;
    const to = this.#session ? this.#session.handsets.filter((one) => !this.#left.has(one.number)).map((one) => one.number) : this.#numbers.map((one) => one.typed);
    const body = { text, to };
    field?.setWrong("");
    this.#setAsked(true);
    try {
      const answer = await this.#ask(body);
      this.#once.done();
      this.#said(answer, text, to.length);
    } catch (error) {
      if (!this.isConnected || error.name === "AbortError") return; // the session ended under it: said already
      if (!(error instanceof NoAnswer || error instanceof Problem)) throw error;
      this.#fail(error, body);
    } finally {
      this.#setAsked(false);
    }
  }

  /** Says what is missing or too much, and goes there. */
  #isWrong() {
    const { composer, field } = this.#parts;
    const wrongText = composer.check();
    composer.setWrong(wrongText);
    if (field) {
      const isTaken = field.take();
      if (isTaken && this.#numbers.length === 0) field.setWrong(t("no_numbers_yet"));
      if (!isTaken || this.#numbers.length === 0) {
        field.input.focus();
        return true;
      }
    } else if (this.#session.handsets.every((one) => this.#left.has(one.number))) {
      this.#showProblem(h("p", {}, t("nobody_marked")));
      return true;
    }
    if (wrongText) composer.area.focus();
    return wrongText !== "";
  }

  /** Asks, and asks again with the same key what passes by itself. */
  async #ask(body) {
    const session = this.#session;
    const key = this.#once.of({ session: session?.id, body });
    const anonymous = new Api({ heard: (answer) => this.#clock.hear(answer) });
    for (let tries = 1; ; tries += 1) {
      try {
        return await (session ? session.say(body, key) : anonymous.send("POST", "/sessions", body, { key }));
      } catch (error) {
        const seconds = WAITED_FOR.includes(error.code) ? (error.retryAfterSeconds ?? 1) : Infinity;
        if (seconds > WAIT_SECONDS_MAX || tries === TRIES_MAX || session?.isOver) throw error;
        this.#parts.status.textContent = t("wait_turn");
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      }
    }
  }

  #said(answer, text, asked) {
    this.#refused = answer.refused;
    this.#ended = null;
    this.#forgetAt = null;
    this.#isFromLink = false;
    if (this.#session?.id === answer.id) this.#session.said(answer);
    else this.#open(answer);
    this.#parts.composer.remove(text);
    this.#draft = this.#parts.composer.text;
    this.#showWhom();
    this.#showSession();
    const left = answer.refused.length;
    this.#hear([t("sent_to", Math.max(0, asked - left)), left > 0 && t("not_sent_to", left)].filter(Boolean).join(" "));
    this.#parts.composer.area.focus();
  }

  #open(answer) {
    if (this.#session) {
      // It had ended without our knowing: another took its place (C8).
      this.#drop();
      this.#build();
    }
    const session = new Session(answer, this.#clock, this.#livePath);
    session.addEventListener("lines", (event) => this.#heardLines(event.detail));
    session.addEventListener("state", () => this.#session === session && (this.#showState(), this.#second()));
    session.addEventListener("connection", () => this.#session === session && this.#showConnection());
    session.addEventListener("ended", () => this.#session === session && this.#finish("time"));
    this.#session = session;
    this.#reached = new Set(answer.handsets.map((one) => one.typed));
    this.#left.clear();
  }

  #fail(error, body) {
    if (this.#session && isGone(error)) {
      this.#finish("time", { isUnsure: true });
      return;
    }
    if (error.code === "idempotency_key_reused") this.#once.done();
    this.#refused = error.body?.refused ?? [];
    this.#showWhom();
    if (error.code === "invalid_request") {
      for (const [field, words] of fieldWords(error, body, this.#settings)) {
        if (field === "text" || !this.#parts.field) this.#parts.composer.setWrong(words);
        else this.#parts.field.setWrong(words);
      }
      return;
    }
    this.#problem = error;
    this.#showProblem();
  }

  #setAsked(isAsked) {
    this.#isAsked = isAsked;
    if (this.#parts) this.#showState();
  }

  #takeOutRefused() {
    const gone = new Set(this.#refused.map((one) => one.number));
    this.#parts.field.keep((one) => !gone.has(one.typed));
    this.#refused = [];
    this.#problem = null;
    this.#showProblem();
    this.#showWhom();
    this.#parts.field.input.focus();
  }

  // --- what comes

  #heardLines(lines) {
    this.#parts.box.add(lines);
    for (const line of lines.filter((one) => one.direction === "in")) {
      this.#hear(t("reply_heard", shown(line.number), line.text));
      if (document.hidden) this.#unread += 1;
    }
    this.#showTitle();
  }

  #showTitle() {
    document.title = this.#unread > 0 ? `(${this.#unread}) ${t("page_title")}` : t("page_title");
  }

  #looked = () => {
    if (document.hidden) return;
    this.#unread = 0;
    this.#showTitle();
    this.#second();
  };

  /** For whoever hears the page: when there is time, or at once. */
  #hear(text) {
    this.#polite.append(h("p", {}, text));
    while (this.#polite.childElementCount > HEARD_MAX) this.#polite.firstChild.remove();
  }

  #hearNow(text) {
    fill(this.#urgent, h("p", {}, text));
  }

  // --- until when

  #second = () => {
    const drift = Date.now() - performance.now();
    if (Math.abs(drift - this.#drift) > DRIFT_MS) this.#session?.read();
    this.#drift = drift;
    if (this.#forgetAt !== null && performance.now() >= this.#forgetAt) this.#forget();
    if (!this.#session || !this.#parts?.countdown) return;
    const seconds = Math.min(this.#settings.idle_seconds, (this.#session.expiresAt - this.#clock.now()) / 1000);
    this.#parts.countdown.show(seconds);
    if (seconds <= 0) this.#lookForTheLastTime();
  };

  /** Something may have come in the last second that nobody told us of. Without an answer it is over here. */
  async #lookForTheLastTime() {
    if (this.#isAsking) return;
    const session = this.#session;
    this.#isAsking = true;
    const isAlive = await session.isAlive(LAST_LOOK_SECONDS);
    this.#isAsking = false;
    if (!isAlive && this.#session === session) this.#finish("time");
  }

  async #extend() {
    const session = this.#session;
    const { countdown: shownTime } = this.#parts;
    if (shownTime.extendButton.getAttribute("aria-busy") === "true") return;
    shownTime.extendButton.setAttribute("aria-busy", "true");
    const before = session.expiresAt;
    try {
      await session.extend();
      fill(this.#urgent);
      const left = (session.expiresAt - this.#clock.now()) / 1000;
      this.#hear(session.expiresAt - before < LONGER_MS && left < this.#settings.idle_seconds - 10 ? t("longest") : t("extended", countdown(Math.min(left, this.#settings.idle_seconds))));
      this.#second();
      if (this.#problem === null) this.#showProblem();
    } catch (error) {
      if (this.#session !== session) return;
      if (!(error instanceof NoAnswer || error instanceof Problem)) throw error;
      if (isGone(error)) this.#finish("time");
      else this.#showProblem(h("p", {}, t("not_extended")), h("p", {}, errorWords(error, this.#clock)[0]));
    } finally {
      shownTime.extendButton.setAttribute("aria-busy", "false");
    }
  }

  #pressed = (event) => {
    if (event.key !== EXTEND_KEY || !this.#session || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#extend();
  };

  // --- the end

  async #endNow({ isKept = false } = {}) {
    const told = this.#session.end();
    this.#finish("user", { isKept });
    try {
      await told;
    } catch (error) {
      if (!(error instanceof NoAnswer || error instanceof Problem)) throw error;
      if (isGone(error) || !this.#ended) return;
      this.#ended.isNotTold = true;
      this.#parts.box.setEmpty(this.#emptyBox(this.#parts.minutes));
    }
  }

  /** Nothing of the session is left. By time, what was not sent yet stays for once as long, for whoever was just writing. */
  #finish(by, { isUnsure = false, isKept = by === "time" } = {}) {
    const hadFocus = this.contains(document.activeElement) ? document.activeElement.id : null;
    const mayGoLater = new Set(this.#refused.filter((one) => !FOR_GOOD.includes(one.reason)).map((one) => one.number));
    this.#numbers = isKept ? this.#numbers.filter((one) => this.#reached.has(one.typed) || mayGoLater.has(one.typed)) : [];
    this.#draft = isKept ? this.#parts.composer.text : "";
    this.#drop();
    this.#ended = { by, isUnsure, isNotTold: false };
    this.#forgetAt = isKept && (this.#numbers.length > 0 || this.#draft) ? performance.now() + this.#settings.idle_seconds * 1000 : null;
    this.#parts = null;
    this.#build();
    this.#showTitle();
    this.#hearNow([t("ended_title"), t("ended_again")].join(". "));
    if (hadFocus === "message") this.#parts.composer.area.focus();
    else if (hadFocus !== null) this.#place.querySelector("#box-title").focus();
  }

  /** Lets go of the session and of all that was said. */
  #drop() {
    this.#session?.drop();
    this.#session = null;
    this.#hadOne = true;
    this.#reached.clear();
    this.#left.clear();
    this.#refused = [];
    this.#problem = null;
    this.#unread = 0;
    this.#once = new OnceKey();
    fill(this.#polite);
    fill(this.#urgent);
    /./.test(" "); // RegExp.input keeps the last text that was looked at
  }

  #forget({ isAsked = false } = {}) {
    this.#numbers = [];
    this.#draft = "";
    this.#refused = [];
    this.#problem = null;
    this.#forgetAt = null;
    this.#once = new OnceKey();
    this.#parts = null;
    this.#build();
    this.#hear(t("forgotten"));
    if (isAsked) this.#place.querySelector("#box-title").focus();
  }

  /** Whoever is there keeps what they are writing. */
  #touched = () => {
    if (this.#forgetAt !== null) this.#forgetAt = performance.now() + this.#settings.idle_seconds * 1000;
  };

  /** The page goes, perhaps into the browser's memory from where "back" would bring it: nothing goes there. */
  #leave = () => {
    if (this.#session) {
      // Nobody can read it any more. Without an answer it ends there by itself.
      this.#session.end().catch((error) => {
        if (!(error instanceof NoAnswer || error instanceof Problem)) throw error;
      });
    }
    this.#drop();
    this.#hadOne = false;
    this.#numbers = [];
    this.#draft = "";
    this.#ended = null;
    this.#forgetAt = null;
    this.#isFromLink = false;
    this.#parts = null;
    if (this.#settings !== null) this.#build();
  };

  #warnBeforeLeaving = (event) => {
    if (this.#session) event.preventDefault();
  };

  /** Numbers of a link (C1), for whoever writes to nobody yet. They leave the address at once. */
  #readLink = () => {
    const found = numbersOfLink(location.hash);
    if (found === null) return;
    history.replaceState(null, "", location.pathname + location.search);
    if (this.#session || this.#settings === null || found === "") return;
    this.#isFromLink = true;
    this.#showWhom(this.#parts.field.input.value);
    this.#parts.field.add(found);
  };
}

customElements.define("recado-interactive", Interactive);
