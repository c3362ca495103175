// The people of a school: looked for, one of them, those without a number, and imports of the roster. Each is loaded when it is asked for.
import { elementOf } from "../lib/parts.js";
import { t } from "./people/words.js";

const PARTS = {
  search: async () => (await import("./people/search.js")).Search,
  one: async () => (await import("./people/one.js")).One,
  unreachable: async () => (await import("./people/unreachable.js")).Unreachable,
  imports: async () => (await import("./people/imports.js")).Imports,
  import: async () => (await import("./people/import.js")).Import,
};

/** `#/people`, `…/one/<id>`, `…/unreachable`, `…/imports`, `…/imports/<id>`. */
function partOf([part, id]) {
  if (part === "one" && id) return { load: PARTS.one, id };
  if (part === "imports") return id ? { load: PARTS.import, id } : { load: PARTS.imports };
  return { load: part === "unreachable" ? PARTS.unreachable : PARTS.search };
}

customElements.define("recado-people", elementOf(partOf, t));
