import { h } from "../../lib/dom.js";
import { t } from "./words.js";

export class Search {
  constructor(context, id) {
    this.context = context;
    this.element = h("div", { class: "stack" }, h("h1", {}, t("title")));
  }

  begin() {}

  stop() {}
}
