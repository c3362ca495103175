// What may be done with a roster that was compared: apply it or discard it, each after a last look.
import { NoAnswer, OnceKey, Problem } from "../../../lib/api.js";
import { fill, h } from "../../../lib/dom.js";
import { actionButton, errorNote, note } from "../../../lib/say.js";
import { KNOWN, t } from "./words.js";

// The states by which one sees that it was done.
const WANTED = { apply: ["applying", "done"], discard: ["discarded"] };

export class Acts {
  /** `onChanged(import)`: what the API answered; `onRefused()`: it is not as it is shown here; `home()`: where focus goes when a button has gone. */
  constructor(api, { onChanged, onRefused, home }) {
    this.api = api;
    this.onChanged = onChanged;
    this.onRefused = onRefused;
    this.home = home;
    this.keys = { apply: new OnceKey(), discard: new OnceKey() };
    this.apply = actionButton(t("apply"), () => this.#askApply(), { kind: "main", iconName: "done" });
    this.discard = actionButton(t("discard"), () => this.#askDiscard(), { kind: "danger", iconName: "close" });
    this.said = h("div", { class: "imports-trouble" });
    this.element = h("div", { class: "stack" }, h("div", { class: "row" }, this.apply, this.discard), this.said);
  }

  show(one) {
    const before = this.one;
    this.one = one;
    this.#offer(this.apply, one.state === "ready");
    this.#offer(this.discard, ["ready", "checking"].includes(one.state));
    if (!before || before.state === one.state) return;
    const isOurs = this.unsure && WANTED[this.unsure].includes(one.state);
    this.unsure = null;
    fill(this.said);
    if (!this.dialog || this.isSending) return;
    this.dialog.close();
    if (!isOurs) fill(this.said, note("warn", h("p", {}, t("moved_on"))));
  }

  stop() {
    this.dialog?.remove();
  }

  #offer(button, isOffered) {
    const hadFocus = document.activeElement === button;
    button.hidden = !isOffered;
    if (!isOffered && hadFocus) this.home();
  }

  #askApply() {
    const { counts } = this.one;
    this.#ask(t("apply_title"), [h("p", {}, t("apply_text", counts)), counts.gone > 0 && h("p", {}, t("apply_gone"))], t("apply_yes"), "main", (dialog) =>
      this.#try("apply", { confirm_gone: false }, dialog),
    );
  }

  /** So many would go that the API wants to hear it twice. */
  #askMany({ gone, of }) {
    this.dialog.close();
    this.#ask(t("many_title"), [note("warn", h("p", {}, t("many_text", gone, of))), h("p", {}, t("many_hint"))], t("many_yes", gone), "danger", (dialog) =>
      this.#try("apply", { confirm_gone: true }, dialog),
    );
  }

  #askDiscard() {
    this.#ask(t("discard_title"), [h("p", {}, t("discard_text"))], t("discard_yes"), "danger", (dialog) => this.#try("discard", undefined, dialog));
  }

  #ask(title, content, yes, kind, act) {
    const opener = this.opener ?? document.activeElement;
    this.opener = opener;
    const trouble = h("div", { class: "imports-trouble" });
    const dialog = h(
      "dialog",
      { "aria-labelledby": "act-title" },
      h(
        "div",
        { class: "stack" },
        h("h2", { id: "act-title" }, title),
        content,
        trouble,
        h("div", { class: "row" }, actionButton(yes, () => act({ dialog, trouble }), { kind }), h("button", { type: "button", class: "button", onClick: () => dialog.close() }, t("back_out"))),
      ),
    );
    this.dialog = dialog;
    this.element.append(dialog);
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (this.dialog !== dialog) return; // another question has followed it
      this.dialog = null;
      this.opener = null;
      if (opener?.isConnected && !opener.hidden) opener.focus();
      else this.home();
    });
    dialog.showModal();
  }

  async #try(act, body, { dialog, trouble }) {
    const path = `/imports/${encodeURIComponent(this.one.id)}/${act}`;
    fill(trouble);
    this.isSending = true;
    try {
      const changed = await this.api.send("POST", path, body, { key: this.keys[act].of([path, body]) });
      this.keys[act].done();
      this.onChanged(changed);
      dialog.close();
    } catch (error) {
      if (error instanceof Problem && error.code === "many_would_go") {
        this.#askMany(error.body);
        return;
      }
      fill(trouble, errorNote(error, { known: KNOWN }));
      if (error instanceof NoAnswer) this.unsure = act; // it may have been done: the next look tells
      if (error instanceof Problem && error.code === "wrong_state") this.onRefused();
    } finally {
      this.isSending = false;
    }
  }
}
