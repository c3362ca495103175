// The school's saved texts: use one, save this one.
import { OnceKey } from "../../lib/api.js";
import { fill, h } from "../../lib/dom.js";
import { actionButton, errorNote, load, note } from "../../lib/say.js";
import { compose } from "./texts.js";
import { t } from "./words.js";

export class Templates {
  /** `onUse`: the state has a template's text, category and accents. */
  constructor(api, state, onUse) {
    this.api = api;
    this.state = state;
    this.onUse = onUse;
    this.key = new OnceKey();
    this.list = h("div", { class: "stack" });
    this.said = h("div", { class: "stack" });
    this.name = h("input", { class: "input", id: "template-name", maxlength: 80, autocomplete: "off" });
    const save = actionButton(t("template_save"), () => this.#save());
    this.element = h(
      "details",
      { class: "panel" },
      h("summary", { class: "opening" }, t("templates")),
      h("div", { class: "stack" }, this.list, h("div", { class: "field" }, h("label", { for: "template-name" }, t("template_name")), h("div", { class: "with-button" }, this.name, save)), this.said),
    );
    this.element.addEventListener("toggle", () => {
      if (this.element.open && !this.list.hasChildNodes()) this.#load();
    });
  }

  #load() {
    return load(this.list, () => this.api.get("/templates", { limit: 100 }), (page) => this.#choices(page));
  }

  #choices({ templates, next }) {
    if (templates.length === 0) return h("p", { class: "soft" }, t("template_none"));
    const select = h("select", { class: "input", id: "template" }, templates.map((one) => h("option", { value: one.id }, one.name)));
    const use = h("button", { type: "button", class: "button" }, t("template_use"));
    use.addEventListener("click", () => this.#use(templates.find((one) => one.id === select.value)));
    return h("div", { class: "field" }, h("label", { for: "template" }, t("template_choose")), h("div", { class: "with-button" }, select, use), next && h("p", { class: "hint" }, t("template_more")));
  }

  #use(template) {
    const { state } = this;
    const before = { text: state.text, category: state.category, withoutAccents: state.withoutAccents, noticeConfirmed: state.noticeConfirmed };
    Object.assign(state, { text: template.text, category: template.category, withoutAccents: template.drop_accents, noticeConfirmed: false });
    this.onUse();
    if (!before.text.trim()) {
      fill(this.said);
      return;
    }
    const undo = h("button", { type: "button", class: "button" }, t("template_undo"));
    undo.addEventListener("click", () => {
      Object.assign(state, before);
      fill(this.said);
      this.onUse();
    });
    fill(this.said, note("info", h("p", {}, t("template_replaces")), h("p", {}, undo)));
  }

  async #save() {
    const { state } = this;
    const name = this.name.value.trim();
    const missing = [[!name, "wrong_template_name"], [!state.text.trim(), "wrong_empty"], [!state.category, "missing_category"]].find(([is]) => is);
    if (missing) {
      fill(this.said, note("bad", h("p", {}, missing[1] === "missing_category" ? `${t("missing")} ${t("missing_category")}` : t(missing[1]))));
      return;
    }
    const body = { name, text: compose(state.text), category: state.category, drop_accents: state.withoutAccents };
    try {
      await this.api.send("POST", "/templates", body, { key: this.key.of(body) });
    } catch (error) {
      fill(this.said, errorNote(error));
      return;
    }
    this.key.done();
    this.name.value = "";
    fill(this.said, note("good", h("p", {}, t("template_saved", name))));
    await this.#load();
  }
}
