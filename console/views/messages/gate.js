// For the gate of the school: whom the message did not reach, by course, to be told in person. Made to be printed.
import { NoAnswer, Problem } from "../../lib/api.js";
import { fill, h, icon } from "../../lib/dom.js";
import { moment, number } from "../../lib/format.js";
import { errorNote, note } from "../../lib/say.js";
import { language } from "../../lib/words.js";
import { goesBySms, LOST } from "./figures.js";
import { Lines } from "./lines.js";
import { each } from "./poll.js";
import { numberOf } from "./recipients.js";
import { KNOWN, t } from "./words.js";

const PEOPLE_MAX = 300;
const UNSURE = ["sent", "unknown", "queued", "sending"];
const SKIPPED = ["no_number", "unusable_number", "no_international_bag", "opted_out", "in_inbox"];

export class Gate {
  constructor(context, id) {
    this.api = context.api;
    this.id = id;
    this.records = new Map();
    this.abort = new AbortController();
    this.unsure = h("input", { type: "checkbox", id: "gate-unsure", checked: true, onChange: () => this.#make() });
    this.intro = h("p", { class: "soft" });
    this.turn = 0; // the box may be ticked again before the list is made
    this.head = h("header", { class: "stack" });
    this.place = h("div", { class: "stack" });
    this.status = h("p", { class: "soft", role: "status" });
    this.element = h(
      "div",
      { class: "stack gate" },
      h("p", { class: "no-print" }, h("a", { class: "button plain", href: `#/messages/${encodeURIComponent(id)}` }, `← ${t("gate_back")}`)),
      this.head,
      h("div", { class: "row no-print" }, h("button", { type: "button", class: "button main", onClick: () => print() }, icon("print"), t("gate_print")), h("label", { class: "check" }, this.unsure, t("gate_with_unconfirmed"))),
      this.status,
      this.place,
    );
  }

  stop() {
    this.abort.abort();
  }

  async begin() {
    const { signal } = this.abort;
    fill(this.head, h("h1", { tabindex: "-1" }, t("gate_title")));
    try {
      const lines = new Lines(this.api, this.id, language);
      const [message, { groups }, found] = await Promise.all([this.api.get(`/messages/${encodeURIComponent(this.id)}`, { lang: language }, { signal }), this.api.get("/groups", {}, { signal }), lines.more(Infinity, { signal, onPage: (count) => (this.status.textContent = t("searching", count)) })]);
      this.message = message;
      this.isCut = lines.hasMore;
      this.lines = found;
      this.courses = new Map(groups.filter((one) => one.kind === "course").map((one) => [one.id, one.name]));
    } catch (error) {
      if (signal.aborted) return;
      this.#failed(error, () => this.begin());
      return;
    }
    fill(
      this.head,
      h("h1", { tabindex: "-1" }, t("gate_title")),
      this.intro,
      h("p", {}, h("strong", {}, `${t(this.message.category)}: `), h("span", { class: "text" }, this.message.text)),
    );
    this.head.querySelector("h1").focus();
    await this.#make();
  }

  async #make() {
    if (!this.lines) return;
    const { signal } = this.abort;
    this.turn += 1;
    const { turn } = this;
    const wanted = this.lines.filter((line) => this.#isWanted(line)).flatMap((line) => line.people.map((person) => ({ person, line })));
    const people = wanted.slice(0, PEOPLE_MAX);
    try {
      let done = 0;
      await each(
        people,
        async ({ person }) => {
          const record = await this.#record(person.id, signal);
          for (const student of record?.students ?? []) await this.#record(student, signal);
          done += 1;
          if (turn === this.turn) this.status.textContent = t("gate_working", done, people.length);
        },
        { signal },
      );
    } catch (error) {
      if (signal.aborted) return;
      this.#failed(error, () => this.#make());
      return;
    }
    if (signal.aborted || turn !== this.turn) return;
    this.intro.textContent = t(this.unsure.checked ? "gate_intro_unsure" : "gate_intro", moment(Date.now(), this.message.time_zone));
    this.status.textContent = t("gate_people", wanted.length);
    fill(
      this.place,
      this.isCut && note("warn", h("p", {}, t("gate_cut"))),
      people.length < wanted.length && note("warn", h("p", {}, t("gate_too_many", PEOPLE_MAX))),
      wanted.length ? this.#byCourse(people) : note("good", h("p", {}, t("gate_none"))),
    );
  }

  #isWanted(line) {
    if (line.zone === null && SKIPPED.includes(line.state)) return line.state !== "in_inbox" || goesBySms(this.message);
    return LOST.includes(line.state) || (this.unsure.checked && UNSURE.includes(line.state));
  }

  /** A record, read once; null of somebody who is not there any more. */
  async #record(id, signal) {
    if (!this.records.has(id)) {
      const reading = this.api.get(`/people/${encodeURIComponent(id)}`, {}, { signal }).catch((error) => {
        if (error instanceof Problem && error.status === 404) return null;
        this.records.delete(id); // to be read when it is tried again
        throw error;
      });
      this.records.set(id, reading);
    }
    const found = await this.records.get(id);
    this.records.set(id, found);
    return found;
  }

  #byCourse(people) {
    const courses = new Map();
    for (const { person, line } of people) {
      const record = this.records.get(person.id);
      const students = (record?.students ?? []).map((id) => this.records.get(id)).filter(Boolean);
      const places = students.length ? students : [record].filter(Boolean);
      const names = new Set(places.flatMap((one) => one.groups.filter((id) => this.courses.has(id)).map((id) => this.courses.get(id))));
      for (const name of names.size ? names : [t("gate_no_course")]) {
        const of = students.filter((one) => one.groups.some((id) => this.courses.get(id) === name)).map(nameOf);
        courses.set(name, [...(courses.get(name) ?? []), { person, line, of }]);
      }
    }
    const sorted = [...courses].sort(([one], [other]) => one.localeCompare(other, language, { numeric: true }));
    return sorted.map(([name, rows], index) =>
      h(
        "section",
        { class: "panel stack gate-course", "aria-labelledby": `gate-${index}` },
        h("h2", { id: `gate-${index}` }, `${name} (${number(rows.length)})`),
        h(
          "table",
          { class: "table cards gate-table" },
          h("caption", { class: "heard" }, name),
          h("thead", {}, h("tr", {}, ["gate_told", "name", "phone", "reason"].map((one) => h("th", { scope: "col" }, t(one))))),
          h("tbody", {}, rows.sort((one, other) => sortName(one).localeCompare(sortName(other), language)).map(({ person, line, of }) => row(person, line, of))),
        ),
      ),
    );
  }

  #failed(error, retry) {
    if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
    this.status.textContent = "";
    fill(this.place, errorNote(error, { known: KNOWN, retry }));
  }
}

const nameOf = (record) => `${record.given_name} ${record.family_name}`;
const sortName = ({ person, of }) => of[0] ?? person.name;

function row(person, line, of) {
  return h(
    "tr",
    {},
    h("td", { class: "gate-box" }, h("span", { class: "gate-square", "aria-hidden": "true" })),
    h("td", {}, h("strong", {}, person.name || t("gone")), of.length > 0 && h("span", { class: "soft" }, ` ${t("gate_of", of.join(", "))}`)),
    h("td", {}, line.number && numberOf(line)),
    h("td", { class: "small" }, t(line.state)),
  );
}
