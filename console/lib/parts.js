// A view of several parts, one of which is shown: {element, begin(), stop()}, made of the context and the id in the address.
import { fill, h } from "./dom.js";
import { note } from "./say.js";

/** The element of such a view. `partOf(path)`: {load: () => the part's class, id} for what the address says. `t`: its words, with `title` and `not_loaded`. */
export const elementOf = (partOf, t) =>
  class extends HTMLElement {
    async connectedCallback() {
      const { load, id } = partOf(this.context.path);
      let Part;
      try {
        Part = await load();
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
  };
