// Imports of the roster: to begin one by dropping its files, and those of before.
import { fill, h, icon } from "../../lib/dom.js";
import { moment } from "../../lib/format.js";
import { actionButton, errorNote, moreOf, note } from "../../lib/say.js";
import { Poll } from "../messages/poll.js";
import { choose } from "./imports/files.js";
import { isMoving, resultWords, stateTag } from "./imports/states.js";
import { Upload } from "./imports/upload.js";
import { KNOWN, t } from "./imports/words.js";

const MOVING_MS = 4_000;
const QUIET_MS = 20_000; // somebody else may begin one

export class Imports {
  constructor(context) {
    this.context = context;
    this.rows = new Map(); // by id
    this.input = h("input", { type: "file", multiple: true, accept: ".zip,.csv", hidden: true, onChange: () => this.#chosen() });
    this.button = actionButton(t("choose"), () => this.input.click(), { kind: "main", iconName: "upload" });
    this.call = h("p", { class: "drop-call", role: "status" }, t("drop"));
    this.drop = h("div", { class: "drop" }, icon("upload"), this.call, this.button, this.input);
    this.trouble = h("div", { class: "imports-trouble" });
    this.place = h("div", { class: "stack imports-list" });
    this.renewed = h("p", { class: "small soft", role: "status" });
    this.poll = new Poll((signal) => this.#turn(signal), (error) => this.#failed(error));
    this.element = h(
      "div",
      { class: "stack imports" },
      h("p", {}, h("a", { class: "button plain", href: "#/people" }, `← ${t("back_to_people")}`)),
      h("h1", { tabindex: "-1" }, t("title")),
      h("p", {}, t("intro")),
      h("section", { class: "panel stack", "aria-labelledby": "drop-title" }, h("h2", { id: "drop-title" }, t("drop_title")), this.drop, this.trouble, h("p", { class: "soft small" }, t("bounds"))),
      h("section", { class: "panel stack", "aria-labelledby": "earlier-title" }, h("h2", { id: "earlier-title" }, t("earlier")), this.place, this.renewed),
    );
    // A file that misses the place must not open instead of the page: the whole window takes it.
    this.listeners = { dragover: (event) => this.#over(event), dragleave: (event) => this.#left(event), drop: (event) => this.#dropped(event) };
  }

  begin() {
    for (const [name, heard] of Object.entries(this.listeners)) addEventListener(name, heard);
    fill(this.place, h("p", { class: "soft", role: "status" }, "…"));
    this.poll.start();
  }

  stop() {
    this.isStopped = true;
    for (const [name, heard] of Object.entries(this.listeners)) removeEventListener(name, heard);
    this.poll.stop();
  }

  // --- to begin one ---

  #over(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    this.#light(true);
  }

  #left(event) {
    if (event.relatedTarget === null) this.#light(false);
  }

  #dropped(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.#light(false);
    this.#take([...event.dataTransfer.files]);
  }

  #light(isOver) {
    this.drop.classList.toggle("over", isOver);
    if (!this.isBusy) this.call.textContent = t(isOver ? "drop_now" : "drop");
  }

  #chosen() {
    const files = [...this.input.files];
    this.input.value = ""; // the same file may be chosen again, corrected
    if (files.length) this.#take(files);
  }

  async #take(files) {
    if (this.isBusy) return;
    this.isBusy = true;
    fill(this.trouble);
    this.call.textContent = t("checking_file");
    const chosen = await choose(files);
    this.isBusy = false;
    this.#light(false);
    if (chosen.problems) {
      fill(this.trouble, note("bad", chosen.problems.length > 1 ? h("ul", { class: "stack small" }, chosen.problems.map((one) => h("li", {}, one))) : h("p", {}, chosen.problems[0])));
      return;
    }
    this.upload = new Upload(this.context.api, chosen.files);
    this.upload.leftOut = chosen.leftOut;
    await this.#begin();
  }

  async #begin() {
    if (this.isBusy) return;
    this.isBusy = true;
    fill(this.trouble);
    this.call.textContent = t("beginning");
    const { upload } = this;
    try {
      const begun = await upload.begin();
      upload.send(begun); // goes on while its own page is shown
      if (!this.isStopped) this.context.go(`people/imports/${begun.id}`);
    } catch (error) {
      const said = errorNote(error, { known: KNOWN, retry: () => this.#begin() });
      said.lastElementChild.prepend(h("p", {}, t("not_begun")));
      fill(this.trouble, said);
    } finally {
      this.isBusy = false;
      this.#light(false);
    }
  }

  // --- those of before ---

  async #turn(signal) {
    const { imports, next } = await this.context.api.get("/imports", {}, { signal });
    this.#arrange(imports, next);
    return imports.some(isMoving) ? MOVING_MS : QUIET_MS;
  }

  #failed(error) {
    if (this.body) this.renewed.textContent = error ? t("not_renewed") : "";
    else if (error) fill(this.place, errorNote(error, { known: KNOWN, retry: () => this.poll.start() }));
  }

  /** The first page anew: a row that is there is brought up to date, so that focus stays where it is. */
  #arrange(imports, next) {
    if (imports.length === 0) {
      fill(this.place, h("p", { class: "empty" }, t("none")));
      return;
    }
    if (!this.body) {
      this.body = h("tbody", {});
      const more = moreOf(t("more"), next, (cursor) => this.context.api.get("/imports", { cursor }), (page) => this.#older(page.imports));
      fill(this.place, listOf(this.body), more);
    }
    const fresh = imports.filter((one) => !this.rows.has(one.id));
    this.body.prepend(...fresh.map((one) => this.#row(one)));
    for (const one of imports) this.rows.get(one.id).show(one);
  }

  #older(imports) {
    const added = imports.filter((one) => !this.rows.has(one.id)).map((one) => this.#row(one));
    this.body.append(...added);
    added[0]?.querySelector("a").focus(); // where reading goes on
  }

  #row(one) {
    const row = new Row(one);
    this.rows.set(one.id, row);
    return row.element;
  }
}

function listOf(body) {
  return h(
    "table",
    { class: "table cards" },
    h("caption", { class: "heard" }, t("earlier")),
    h("thead", {}, h("tr", {}, ["when", "who", "state", "result"].map((name) => h("th", { scope: "col" }, t(name))))),
    body,
  );
}

class Row {
  constructor(one) {
    this.state = h("td", { "data-label": t("state") });
    this.result = h("td", { "data-label": t("result") });
    const when = h("a", { href: `#/people/imports/${encodeURIComponent(one.id)}`, class: "imports-link" }, moment(one.started_at));
    this.element = h("tr", {}, h("td", { class: "tabular" }, when), h("td", { "data-label": t("who") }, one.started_by), this.state, this.result);
    this.show(one);
  }

  show(one) {
    const words = resultWords(one);
    if (this.known === `${one.state}${words}`) return;
    this.known = `${one.state}${words}`;
    fill(this.state, stateTag(one));
    this.result.textContent = words || "–";
  }
}
