// Nobody loses what they wrote by a press on a tab: whoever leaves with unsaved text is asked first.
import { fill, h } from "../../lib/dom.js";
import { actionButton, errorNote } from "../../lib/say.js";
import { t } from "./words.js";

export class Leaving {
  /** `view`: whom the console asks; `isDirty()`; `save()`, or null where nothing can be saved by the way. */
  constructor(view, { isDirty, save }) {
    this.isDirty = isDirty;
    this.said = h("div", {});
    const close = () => this.element.close();
    const stay = h("button", { type: "button", class: "button main", onClick: close }, t("leave_stay"));
    const lose = h("button", { type: "button", class: "button danger", onClick: () => this.#leave() }, t("leave_lose"));
    const keep = save && actionButton(t("leave_save"), () => this.#save(save));
    this.element = h("dialog", { "aria-labelledby": "leave-title" }, h("div", { class: "stack" }, h("h2", { id: "leave-title" }, t("leave_title")), h("p", {}, t("leave_body")), this.said, h("div", { class: "row" }, stay, keep, lose)));
    this.controller = new AbortController();
    const { signal } = this.controller;
    view.addEventListener("recado.leaving", (event) => this.#moved(event), { signal });
    addEventListener("beforeunload", (event) => this.isDirty() && event.preventDefault(), { signal });
  }

  stop() {
    this.controller.abort();
  }

  #moved(event) {
    if (this.isLeaving || !this.isDirty()) return;
    event.preventDefault();
    this.target = event.detail.hash;
    fill(this.said);
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
    this.element.showModal();
  }

  async #save(save) {
    try {
      await save();
    } catch (error) {
      fill(this.said, errorNote(error));
      return;
    }
    this.#leave();
  }

  #leave() {
    this.isLeaving = true;
    this.element.close();
    location.hash = this.target;
  }
}
