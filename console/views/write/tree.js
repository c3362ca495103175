// The school's groups as a tree of real check boxes: level → grade → course. A box whose own part is chosen in part is mixed.
import { h } from "../../lib/dom.js";
import { number } from "../../lib/format.js";
import { t } from "./words.js";

/** `groups`: of the API. `onChange` is told after every change of `state.groups` and `state.whole`. */
export class GroupTree {
  constructor(groups, state, onChange) {
    this.state = state;
    this.onChange = onChange;
    this.byId = new Map(groups.map((group) => [group.id, group]));
    this.children = new Map();
    for (const group of groups) {
      const parent = this.byId.has(group.parent) ? group.parent : null;
      this.children.set(parent, [...(this.children.get(parent) ?? []), group]);
    }
    const roots = this.children.get(null) ?? [];
    this.school = roots.find((group) => group.kind === "school") ?? null;
    this.top = this.school ? (this.children.get(this.school.id) ?? []) : [];
    this.top = [...this.top, ...roots.filter((group) => group !== this.school && group.kind !== "custom")];
    this.custom = groups.filter((group) => group.kind === "custom");
    this.boxes = new Map();
    this.counts = new Map();
    this.element = h("div", { class: "stack" }, this.#build());
    this.update();
  }

  /** As the state is now: which boxes are ticked or mixed, and how many of the chosen kinds each has. */
  update() {
    for (const [id, box] of this.boxes) {
      const shown = this.#shown(id);
      box.checked = shown === "all";
      box.indeterminate = shown === "some";
    }
    for (const [id, place] of this.counts) {
      const group = id === null ? this.school : this.byId.get(id);
      const kinds = this.state.who.size ? [...this.state.who] : ["guardians", "students", "staff"];
      const count = group ? kinds.reduce((sum, kind) => sum + group[kind], 0) : null;
      place.textContent = count === null ? "" : number(count);
    }
  }

  #build() {
    const list = (groups) => h("ul", { class: "tree-list" }, this.#sorted(groups).map((group) => this.#node(group)));
    const whole = this.#row(null, t("whole_school"));
    return [
      h("fieldset", { class: "plain-set" }, h("legend", {}, t("groups")), h("ul", { class: "tree-list" }, h("li", {}, whole, list(this.top)))),
      this.custom.length > 0 && h("fieldset", { class: "plain-set" }, h("legend", {}, t("custom_groups")), list(this.custom)),
    ];
  }

  #node(group) {
    const inside = this.children.get(group.id) ?? [];
    if (inside.length === 0) return h("li", {}, this.#row(group.id, group.name));
    const id = `in-${group.id}`;
    const below = h("ul", { class: "tree-list", id, hidden: true }, this.#sorted(inside).map((one) => this.#node(one)));
    const opener = h("button", { type: "button", class: "opener", "aria-expanded": "false", "aria-controls": id, "aria-label": t("open_group", group.name) });
    opener.addEventListener("click", () => this.#open(opener, below, below.hidden));
    if (this.#hasChosen(group.id)) this.#open(opener, below, true);
    return h("li", {}, h("div", { class: "tree-row" }, this.#row(group.id, group.name), opener), below);
  }

  #open(opener, below, isOpen) {
    below.hidden = !isOpen;
    opener.setAttribute("aria-expanded", String(isOpen));
  }

  #row(id, name) {
    const box = h("input", { type: "checkbox" });
    const count = h("span", { class: "soft small tabular" });
    this.boxes.set(id, box);
    this.counts.set(id, count);
    box.addEventListener("change", () => {
      if (box.checked) this.#choose(id);
      else this.#unchoose(id);
      this.update();
      this.onChange();
    });
    return h("label", { class: "check tree-check" }, box, h("span", {}, name, " "), count);
  }

  #choose(id) {
    const { state } = this;
    if (id === null) {
      state.whole = true;
      for (const group of this.byId.values()) if (group.kind !== "custom") state.groups.delete(group.id);
      return;
    }
    for (const inside of this.#below(id)) state.groups.delete(inside);
    state.groups.add(id);
    // A group of one's own names people besides those of a course, but nothing besides the whole school.
    if (this.byId.get(id).kind === "custom") state.whole = false;
  }

  /** Takes it out, and whatever stood above it falls apart into what is left. */
  #unchoose(id) {
    const { state } = this;
    if (id === null) {
      state.whole = false;
      return;
    }
    for (const inside of [id, ...this.#below(id)]) state.groups.delete(inside);
    const path = this.#above(id);
    const from = state.whole ? null : path.find((one) => state.groups.has(one));
    if (!state.whole && from === undefined) return;
    state.whole = false;
    if (from) state.groups.delete(from);
    const chain = [id, ...(from ? path.slice(0, path.indexOf(from) + 1) : path)];
    for (const [at, one] of chain.entries()) {
      const siblings = at + 1 < chain.length ? this.children.get(chain[at + 1]) : from ? [] : this.top;
      for (const sibling of siblings) if (sibling.id !== one) state.groups.add(sibling.id);
    }
  }

  /** all, some, or none of it is chosen. */
  #shown(id) {
    const { state } = this;
    if (id === null) return state.whole ? "all" : this.top.some((one) => this.#shown(one.id) !== "none") ? "some" : "none";
    const isCustom = this.byId.get(id).kind === "custom";
    if ((state.whole && !isCustom) || state.groups.has(id) || this.#above(id).some((one) => state.groups.has(one))) return "all";
    const inside = (this.children.get(id) ?? []).map((one) => this.#shown(one.id));
    if (inside.length && inside.every((one) => one === "all")) return "all";
    return inside.some((one) => one !== "none") ? "some" : "none";
  }

  #hasChosen(id) {
    return this.#below(id).some((one) => this.state.groups.has(one));
  }

  #below(id) {
    return (this.children.get(id) ?? []).flatMap((one) => [one.id, ...this.#below(one.id)]);
  }

  /** The groups that hold it, the nearest first; not the school. */
  #above(id) {
    const found = [];
    for (let one = this.byId.get(id)?.parent; one && this.byId.has(one) && one !== this.school?.id; one = this.byId.get(one).parent) found.push(one);
    return found;
  }

  #sorted(groups) {
    return [...groups].sort((one, other) => one.id.localeCompare(other.id, "es", { numeric: true }));
  }
}

/** Names of the groups that are chosen, as a sentence says them. */
export function chosenNames(tree, ids) {
  return [...ids].map((id) => tree.byId.get(id)?.name ?? id);
}
