// One person: who, whose family, in which courses, whether SMS reaches them and why not; what the school may change of it.
import { NoAnswer, OnceKey, Problem } from "../../lib/api.js";
import { fill, h, icon } from "../../lib/dom.js";
import { day } from "../../lib/format.js";
import { actionButton, errorNote, note } from "../../lib/say.js";
import { each } from "../messages/poll.js";
import { KNOWN, t } from "./directory_words.js";
import { History } from "./history.js";
import { addressOf, Groups, nameOf, numberOf, openDialog } from "./persons.js";
import { Sms } from "./sms.js";

const RELATIVES_MAX = 40; // each is a request of its own

export class One {
  #removeKey = new OnceKey();

  constructor(context, id) {
    this.api = context.api;
    this.id = id;
    this.path = `/people/${encodeURIComponent(id)}`;
    this.abort = new AbortController();
    this.title = h("h1", { tabindex: "-1" }, t("title"));
    this.tags = h("div", { class: "row" });
    this.acts = h("div", { class: "row" });
    this.gone = h("div", { class: "people-said" });
    this.edit = h("button", { type: "button", class: "button", onClick: () => this.#edit() }, icon("write"), t("edit"));
    this.remove = h("button", { type: "button", class: "button danger", onClick: () => this.#remove() }, icon("close"), h("span", {}, t("remove")));
    this.said = h("div", { class: "people-said", role: "status" });
    this.sms = new Sms(this.api, (person, words, isWrong) => this.#changed(person, words, isWrong));
    this.family = h("section", { class: "panel stack", "aria-labelledby": "family-title" });
    this.history = new History(this.api, id);
    this.dialogs = h("div", { class: "people-said" });
    this.body = h("div", { class: "stack" });
    this.element = h(
      "div",
      { class: "stack people-one" },
      h("p", {}, h("a", { class: "button plain", href: "#/people" }, `← ${t("back")}`)),
      h("header", { class: "stack" }, h("div", { class: "row apart" }, h("div", { class: "stack people-head" }, this.title, this.tags), this.acts), this.gone),
      this.body,
      this.dialogs,
    );
  }

  async begin() {
    const { signal } = this.abort;
    fill(this.body, h("p", { class: "soft", role: "status" }, t("searching")));
    try {
      const [person, groups] = await Promise.all([this.api.get(this.path, {}, { signal }), Groups.read(this.api, signal)]);
      this.groups = groups;
      [this.relatives] = await Promise.all([this.#relatives(person), this.history.read()]); // shown at once: nothing moves
      this.#show(person);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
      const isGone = error instanceof Problem && error.status === 404;
      fill(this.body, errorNote(error, { known: KNOWN, retry: isGone ? undefined : () => this.begin() }));
      return;
    }
    fill(this.body, this.said, h("div", { class: "people-columns" }, this.sms.element, this.family), this.history.element, h("div", { class: "row" }, this.remove));
    this.title.focus();
  }

  stop() {
    this.abort.abort();
  }

  /** Whose guardian, and who the guardians are, as they are now; who is not there any more is left out. */
  async #relatives(person) {
    const { signal } = this.abort;
    const found = new Map();
    const ids = [...person.students, ...person.guardians];
    await each(
      ids.slice(0, RELATIVES_MAX),
      async (id) => {
        try {
          found.set(id, await this.api.get(`/people/${encodeURIComponent(id)}`, {}, { signal }));
        } catch (error) {
          if (!(error instanceof Problem && error.status === 404)) throw error;
        }
      },
      { signal },
    );
    const there = (ids) => ids.map((id) => found.get(id)).filter(Boolean);
    return { students: there(person.students), guardians: there(person.guardians), unread: new Set(ids.slice(RELATIVES_MAX)) };
  }

  #show(person) {
    this.person = person;
    const isHere = person.left_at === null;
    this.title.textContent = nameOf(person);
    fill(
      this.tags,
      h("span", { class: "tag" }, t(person.role)),
      person.source === "school" && h("span", { class: "tag" }, t("by_hand")),
    );
    fill(this.acts, isHere && this.edit);
    fill(this.gone, !isHere && note("warn", h("p", {}, t("left", day(person.left_at))), h("p", {}, t("left_sms"))));
    this.sms.show(person);
    this.remove.lastElementChild.textContent = t(isHere ? "remove" : "erase");
    this.remove.hidden = !isHere && !person.given_name && !person.family_name;
    this.#showFamily(person);
  }

  #showFamily(person) {
    const { students, guardians } = this.relatives;
    const isFamily = ["student", "guardian"].includes(person.role);
    const groups = this.groups.chosenOf(person);
    fill(
      this.family,
      h("h2", { id: "family-title" }, t(isFamily ? "family" : "groups")),
      person.role === "student" && this.#list("guardians", guardians, "no_guardians"),
      person.role === "guardian" && this.#list("students", students, "no_students"),
      isFamily && h("h3", {}, t("groups")),
      groups.length ? h("ul", { class: "row" }, groups.map((group) => h("li", { class: "tag" }, group.name))) : h("p", { class: "soft" }, t("no_groups")),
    );
  }

  #list(name, people, none) {
    const unread = this.person[name].filter((id) => this.relatives.unread.has(id)).length;
    if (people.length === 0 && unread === 0) return this.person.left_at === null ? note("warn", h("p", {}, t(none))) : h("p", { class: "soft" }, t("no_family"));
    return h(
      "div",
      { class: "stack" },
      h("h3", {}, t(name)),
      h("ul", { class: "people-relatives" }, people.map((one) => h("li", {}, h("a", { class: "people-name", href: addressOf(one) }, nameOf(one)), h("span", { class: "small" }, numberOf(one))))),
      unread > 0 && h("p", { class: "soft small" }, t("unread", unread)),
    );
  }

  #changed(person, words, isWrong = false) {
    this.#show(person);
    this.history.read();
    fill(this.said, note(isWrong ? "warn" : "good", h("p", {}, words)));
  }

  async #edit() {
    const { PersonForm } = await import("./form.js");
    const form = new PersonForm(this.api, this.groups, { person: this.person, ...this.relatives }, async (person) => {
      // Family that was put beside it is read; without an answer the record is as it was shown, and begins anew.
      try {
        this.relatives = await this.#relatives(person);
        this.#changed(person, t("saved"));
      } catch (error) {
        if (!this.abort.signal.aborted) fill(this.said, errorNote(error, { known: KNOWN, retry: () => this.begin() }));
      }
    });
    form.open(this.dialogs, () => this.edit.focus());
  }

  #remove() {
    const { person } = this;
    const isHere = person.left_at === null;
    const erase = h("input", { type: "checkbox" });
    const trouble = h("div", { class: "people-said" });
    const act = async () => {
      const isErased = !isHere || erase.checked;
      const path = isErased ? `${this.path}?erase=true` : this.path;
      fill(trouble);
      try {
        await this.api.send("DELETE", path, undefined, { key: this.#removeKey.of(path) });
        this.#removeKey.done();
        const now = await this.api.get(this.path, {}, { signal: this.abort.signal });
        this.relatives = { students: [], guardians: [], unread: new Set() };
        this.#changed(now, t(isErased ? "erased" : "removed"));
        dialog.close();
      } catch (error) {
        if (this.abort.signal.aborted) return;
        if (!(error instanceof Problem || error instanceof NoAnswer)) throw error;
        fill(trouble, errorNote(error, { known: KNOWN }));
      }
    };
    const name = isHere ? "remove" : "erase";
    const yes = actionButton(t(`${name}_yes`), act, { kind: "danger", iconName: "close" });
    const no = h("button", { type: "button", class: "button", onClick: () => dialog.close() }, t("cancel"));
    const content = [
      h("p", {}, t(`${name}_text`)),
      isHere && person.source === "roster" && h("p", {}, t("remove_roster")),
      isHere && h("label", { class: "check" }, erase, t("remove_erase")),
      trouble,
    ];
    const dialog = openDialog(this.dialogs, t(`${name}_title`, nameOf(person)), content, [yes, no], () => (this.person.left_at === null ? this.remove : this.title).focus());
    no.focus(); // what cannot be taken back is not one press away
  }
}
