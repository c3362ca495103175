// What may be done to a message: stop, cancel, another time, again to whom it did not reach, its file. Each keeps its Idempotency-Key until it is done.
import { NoAnswer, OnceKey, Problem } from "../../lib/api.js";
import { fill, h } from "../../lib/dom.js";
import { downloadAll } from "../../lib/files.js";
import { moment } from "../../lib/format.js";
import { actionButton, errorNote, note } from "../../lib/say.js";
import { language } from "../../lib/words.js";
import { AGAIN, sum } from "./figures.js";
import { KNOWN, t } from "./words.js";

export class Acts {
  /** `onChanged(message)`: the API answered the message as it is now; `onRefused()`: it is not as it is shown here. */
  constructor(context, message, onChanged, onRefused) {
    this.context = context;
    this.message = message;
    this.onChanged = onChanged;
    this.onRefused = onRefused;
    this.said = h("div", { class: "acts-said", role: "status" });
    this.trouble = h("div", { class: "acts-trouble stack" });
    this.keys = { stop: new OnceKey(), cancel: new OnceKey(), schedule: new OnceKey(), again: new OnceKey() };
    this.buttons = {
      edit: h("a", { class: "button", href: `#/write/${message.id}` }, t("edit")),
      stop: actionButton(t("stop"), () => this.#confirm("stop"), { kind: "danger", iconName: "stop" }),
      move: actionButton(t("move"), () => this.#move(), { iconName: "clock" }),
      cancel: actionButton(t("cancel"), () => this.#confirm("cancel"), { kind: "danger", iconName: "close" }),
      again: actionButton("", () => this.#again(), { iconName: "send" }),
      csv: actionButton(t("csv"), () => this.#csv(), { iconName: "download" }),
    };
    this.gate = h("a", { class: "button", href: `#/messages/${message.id}/gate` }, t("gate"));
    this.hint = h("p", { class: "soft small" }, t("again_hint"));
    this.element = h("div", { class: "stack no-print" }, h("div", { class: "row acts" }, Object.values(this.buttons), this.gate), this.hint, this.said, this.trouble);
    this.show(message);
  }

  /** Offers what may be done now; a button that has focus and goes leaves it to the page's title. */
  show(message) {
    this.message = message;
    const { state } = message;
    const reached = ["sending", "stopping", "sent", "stopped"].includes(state);
    const count = sum(message.counts, AGAIN);
    const offered = {
      edit: state === "draft" || state === "scheduled",
      stop: state === "sending",
      move: state === "scheduled",
      cancel: state === "scheduled" || state === "planning",
      again: ["sending", "sent", "stopped"].includes(state) && count > 0,
      csv: reached,
    };
    this.buttons.again.lastElementChild.textContent = t("again", count);
    for (const [name, button] of Object.entries(this.buttons)) this.#offer(button, offered[name]);
    this.#offer(this.gate, reached);
    this.hint.hidden = !offered.again;
  }

  stop() {
    this.dialog?.remove();
  }

  #offer(button, isOffered) {
    const hadFocus = document.activeElement === button;
    button.hidden = !isOffered;
    if (!isOffered && hadFocus) this.element.closest("recado-messages")?.querySelector("h1")?.focus();
  }

  #say(words) {
    fill(this.trouble);
    fill(this.said, note("good", h("p", {}, words)));
  }

  async #confirm(act) {
    const trouble = h("div", {});
    const yes = actionButton(t(`${act}_yes`), () => this.#try(act, undefined, trouble, () => t(`did_${act}`)), { kind: "main" });
    await this.#ask(t(`${act}_title`), [h("p", {}, t(`${act}_text`)), trouble], yes);
  }

  async #move() {
    const trouble = h("div", {});
    const wrong = h("p", { class: "wrong", id: "move-wrong", role: "alert" });
    const before = this.message.send_at_local.slice(0, 16);
    const input = h("input", { class: "input", id: "move-at", type: "datetime-local", value: before, required: true, "aria-describedby": "move-wrong" });
    const yes = actionButton(
      t("move_yes"),
      async () => {
        wrong.textContent = input.value ? "" : t("move_missing");
        input.setAttribute("aria-invalid", String(!input.value));
        if (!input.value) return input.focus();
        await this.#try("schedule", { at: input.value }, trouble, (moved) => t("did_move", moment(moved.send_at, moved.time_zone)));
      },
      { kind: "main" },
    );
    await this.#ask(t("move_title"), [h("div", { class: "field" }, h("label", { for: "move-at" }, t("move_label", this.message.time_zone)), input, wrong), trouble], yes);
  }

  /** Opens a dialog and stays until it is closed; the button that opened it has focus again afterwards. */
  #ask(title, content, yes) {
    const opener = document.activeElement;
    const dialog = h("dialog", { "aria-labelledby": "act-title" }, h("div", { class: "stack" }, h("h2", { id: "act-title" }, title), content, h("div", { class: "row" }, yes, h("button", { type: "button", class: "button", onClick: () => dialog.close() }, t("back_out")))));
    this.dialog = dialog;
    this.element.append(dialog);
    // Nobody waits for this: a button that opens a dialog is not busy while it is open.
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (opener?.isConnected && !opener.hidden) opener.focus();
      else this.element.closest("recado-messages")?.querySelector("h1")?.focus();
    });
    dialog.showModal();
  }

  async #try(act, body, trouble, words) {
    const { api } = this.context;
    try {
      const path = `/messages/${this.message.id}/${act}`;
      const changed = await api.send("POST", path, body, { key: this.keys[act].of([path, body]) });
      this.keys[act].done();
      this.onChanged({ ...changed, counts: this.message.counts, curve: this.message.curve, counted_at: this.message.counted_at });
      this.#say(words(changed));
      this.dialog.close();
    } catch (error) {
      fill(trouble, errorNote(error, { known: KNOWN }));
      if (error instanceof Problem && error.code === "wrong_state") this.onRefused();
      if (error instanceof Problem && error.code === "invalid_request") this.dialog.querySelector("input")?.setAttribute("aria-invalid", "true");
    }
  }

  async #again() {
    try {
      const path = `/messages/${this.message.id}/again`;
      const made = await this.context.api.send("POST", path, undefined, { key: this.keys.again.of(path) });
      this.keys.again.done();
      this.context.go(`write/${made.id}`);
    } catch (error) {
      fill(this.trouble, errorNote(error, { known: KNOWN }));
    }
  }

  /** One file after the other, as the API cuts them; a download is complete or says that it is not. */
  async #csv() {
    fill(this.trouble);
    const query = { lang: language, separator: language === "es" ? "semicolon" : "comma" };
    try {
      const parts = await downloadAll(this.context.api, `/messages/${this.message.id}/recipients.csv`, query, this.message.id, (part) => (this.said.textContent = t("csv_part", part)));
      this.said.textContent = t("csv_done", parts);
    } catch (error) {
      if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
      this.said.textContent = "";
      fill(this.trouble, errorNote(error, { known: KNOWN }), h("p", { class: "wrong" }, t("csv_broken")));
    }
  }
}
