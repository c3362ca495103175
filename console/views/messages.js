// The messages of a school: all of them, one of them, and the list for the gate. Each is loaded when it is asked for.
import { elementOf } from "../lib/parts.js";
import { t } from "./messages/words.js";

const PARTS = {
  list: async () => (await import("./messages/list.js")).List,
  one: async () => (await import("./messages/one.js")).One,
  gate: async () => (await import("./messages/gate.js")).Gate,
};

/** `#/messages`, `…/<id>`, `…/<id>/gate`. */
function partOf([id, part]) {
  return { load: PARTS[!id ? "list" : part === "gate" ? "gate" : "one"], id };
}

customElements.define("recado-messages", elementOf(partOf, t));
