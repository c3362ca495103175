// The people of a school: looked for, one of them, those without a number, and imports of the roster. Each is loaded when it is asked for.
import { fill, h } from "../lib/dom.js";
import { note } from "../lib/say.js";
import { t } from "./people/words.js";

const PARTS = {
  search: async () => (await import("./people/search.js")).Search,
  one: async () => (await import("./people/one.js")).One,
  unreachable: async () => (await import("./people/unreachable.js")).Unreachable,
  imports: async () => (await import("./people/imports.js")).Imports,
  import: async () => (await import("./people/import.js")).Import,
};

class RecadoPeople extends HTMLElement {
  async connectedCallback() {
    const { name, id } = this.#asked(this.context.path);
    let Part;
    try {
      Part = await PARTS[name]();
    } catch {
      fill(this, h("h1", {}, t("title")), note("bad", h("p", {}, t("not_loaded"))));
      return;
    }
    if (!this.isConnected) return; // somebody went on while it was loading
    this.shown = new Part(this.context, id);
    this.append(this.shown.element);
    this.shown.begin();
  }

  disconnectedCallback() {
    this.shown?.stop();
  }

  /** `#/people`, `…/one/<id>`, `…/unreachable`, `…/imports`, `…/imports/<id>`. */
  #asked([part, id]) {
    if (part === "one" && id) return { name: "one", id };
    if (part === "imports") return id ? { name: "import", id } : { name: "imports" };
    return { name: part === "unreachable" ? "unreachable" : "search" };
  }
}

customElements.define("recado-people", RecadoPeople);
