// What the state of an import means for what is shown of it.
import { h, icon } from "../../../lib/dom.js";
import { has, t } from "./words.js";

const ICONS = { waiting_for_upload: "upload", checking: "clock", ready: "search", waiting: "clock", applying: "clock", done: "done", refused: "warning", discarded: "close" };
const KINDS = { ready: "warn", done: "good", refused: "bad" };
export const CHANGES = ["new", "changed", "unchanged", "gone"];
export const LISTED = ["new", "changed", "gone"]; // who stays as they are is only counted
export const PEOPLE = ["students", "guardians", "staff"];
export const KIND_NAMES = [...PEOPLE, "groups"];

export const hasEnded = (one) => ["done", "refused", "discarded"].includes(one.state);

/** Somebody or something is at it: it changes within seconds. */
export const isMoving = (one) => ["waiting_for_upload", "checking", "waiting", "applying"].includes(one.state);

/** What it changes is known. */
export const hasDiff = (one) => ["ready", "waiting", "applying", "done"].includes(one.state);

export function stateTag(one) {
  return h("span", { class: `tag ${KINDS[one.state] ?? ""}` }, icon(ICONS[one.state]), t(one.state));
}

/** Why a roster was refused, in words; `field` is a file, or a file and its column. */
export function problemWords({ field, code }) {
  const where = field.replace("/", ": ");
  return has(`p_${code}`) ? t(`p_${code}`, where) : t("p_other", where, code);
}

/** What one brings, in a line. */
export function resultWords(one) {
  if (one.state === "refused") return one.problems.map(problemWords)[0] ?? "";
  if (!hasDiff(one)) return "";
  return [t("counts_said", one.counts), one.bad_rows_count > 0 && t("bad_rows_said", one.bad_rows_count)].filter(Boolean).join(" · ");
}

/** Where it stands, in words and, if that can be told, as a share. */
export function progressOf(one) {
  const { step, done, total } = one.progress;
  if (one.state === "waiting") return { words: t("waiting_text") };
  if (one.state === "applying") {
    return step === "writing" && total > 0 ? { words: t("step_writing", done, total), done, total } : { words: t("step_applying_begin") };
  }
  if (step === "reading") return { words: t("step_reading", done) };
  return { words: step === "comparing" ? t("step_comparing", done) : t("step_begin") };
}
