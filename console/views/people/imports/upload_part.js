// The upload of an import on its page: how far it is, and what to do when it broke off.
import { NoAnswer, OnceKey, Problem } from "../../../lib/api.js";
import { fill, h } from "../../../lib/dom.js";
import { actionButton, errorNote, note } from "../../../lib/say.js";
import { Expired, NotStored, uploadOf } from "./upload.js";
import { KNOWN, t } from "./words.js";

const SAID_EVERY = 25; // percent: whoever hears the page is told so often

export class UploadPart {
  /** `onChanged(import)`: it was given up; `onArrived()`: all has been sent. */
  constructor(context, id, { onChanged, onArrived }) {
    this.context = context;
    this.id = id;
    this.onChanged = onChanged;
    this.onArrived = onArrived;
    this.key = new OnceKey();
    this.words = h("p", {});
    this.aloud = h("p", { class: "heard", role: "status" });
    this.bar = h("progress", { "aria-label": t("upload_label"), max: 100 });
    this.sending = h("div", { class: "stack" }, this.words, this.bar, h("p", { class: "small soft" }, t("upload_stays")));
    this.trouble = h("div", { class: "imports-trouble stack" });
    this.again = actionButton(t("upload_again"), () => this.upload.send(), { kind: "main", iconName: "upload" });
    this.anew = actionButton(t("begin_anew"), () => this.#anew(), { kind: "main", iconName: "upload" });
    this.elsewhere = h("a", { class: "button main", href: "#/people/imports" }, t("begin_anew"));
    this.cancel = actionButton(t("upload_cancel"), () => this.#cancel(), { kind: "danger", iconName: "close" });
    this.leftOut = h("p", { class: "small soft" });
    this.element = h("div", { class: "stack" }, this.sending, this.leftOut, this.trouble, h("div", { class: "row" }, this.again, this.anew, this.elsewhere, this.cancel), this.aloud);
    this.seen = () => this.#draw();
    this.upload = uploadOf(id);
    this.upload?.addEventListener("change", this.seen);
  }

  show(one) {
    const before = this.one;
    this.one = one;
    const isLate = one.state === "refused" && one.problems.some((problem) => problem.code === "not_uploaded");
    const isHere = one.state === "waiting_for_upload" || (isLate && this.upload);
    this.element.hidden = !isHere;
    if (!isHere && one.state !== "checking") this.upload?.forget();
    if (isHere && (before?.state !== one.state || !this.upload)) this.#draw();
  }

  stop() {
    this.upload?.removeEventListener("change", this.seen);
  }

  #draw() {
    const { upload } = this;
    const state = this.one?.state === "refused" ? "late" : (upload?.state ?? "elsewhere");
    const hadFocus = this.element.contains(document.activeElement);
    const isExpired = state === "late" || (state === "failed" && upload.error instanceof Expired);
    this.sending.hidden = !["sending", "arrived"].includes(state);
    this.again.hidden = state !== "failed" || isExpired;
    this.anew.hidden = !isExpired;
    this.elsewhere.hidden = state !== "elsewhere";
    this.cancel.hidden = state === "late" || state === "cancelled";
    this.leftOut.textContent = upload?.leftOut.length ? t("f_left_out", upload.leftOut.join(", ")) : "";
    if (state === "sending") this.#drawProgress();
    if (state === "arrived") {
      this.words.textContent = t("upload_done");
      this.bar.removeAttribute("value");
      if (this.drawn !== state) this.onArrived();
    }
    if (this.drawn !== state) fill(this.trouble, this.#trouble(state, isExpired));
    this.drawn = state;
    if (hadFocus && document.activeElement === document.body) [this.again, this.anew, this.cancel].find((button) => !button.hidden)?.focus();
  }

  #drawProgress() {
    const { sent, total, name } = this.upload;
    const share = Math.floor((sent / total) * 100);
    this.words.textContent = t("uploading", name, sent, total, share);
    this.bar.value = share;
    const step = Math.floor(share / SAID_EVERY);
    if (step > (this.step ?? 0)) this.aloud.textContent = t("said_upload", share);
    this.step = step;
  }

  #trouble(state, isExpired) {
    if (state === "elsewhere") return note("warn", h("p", {}, t("upload_elsewhere", this.one.upload_until)));
    if (isExpired) return note("warn", h("p", {}, t("upload_expired")));
    if (state !== "failed") return null;
    const { error } = this.upload;
    if (error instanceof NotStored) return note("bad", h("p", {}, t("upload_refused", error.status)));
    // An upload that is sent again is the same upload: nothing can be done twice.
    if (error instanceof NoAnswer) return note("bad", h("p", {}, t("upload_lost")));
    return errorNote(error, { known: KNOWN });
  }

  async #anew() {
    try {
      const { upload } = this;
      const begun = await upload.anew();
      upload.send(begun);
      this.context.go(`people/imports/${begun.id}`);
    } catch (error) {
      if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
      fill(this.trouble, errorNote(error, { known: KNOWN }));
    }
  }

  async #cancel() {
    const path = `/imports/${encodeURIComponent(this.id)}/discard`;
    try {
      const discarded = await this.context.api.send("POST", path, undefined, { key: this.key.of(path) });
      this.key.done();
      this.upload?.cancel();
      this.onChanged(discarded);
    } catch (error) {
      if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
      fill(this.trouble, errorNote(error, { known: KNOWN }));
    }
  }
}
