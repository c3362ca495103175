// The messages of a school: all of them, one of them, and the list for the gate. Each is loaded when it is asked for.
import { fill, h } from "../lib/dom.js";
import { note } from "../lib/say.js";
import { t } from "./messages/words.js";

const PARTS = {
  list: async () => (await import("./messages/list.js")).List,
  one: async () => (await import("./messages/one.js")).One,
  gate: async () => (await import("./messages/gate.js")).Gate,
};

class RecadoMessages extends HTMLElement {
  async connectedCallback() {
    const [id, part] = this.context.path;
    let Part;
    try {
      Part = await PARTS[!id ? "list" : part === "gate" ? "gate" : "one"]();
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
}

customElements.define("recado-messages", RecadoMessages);
