// The text as one recipient of the list gets it: their names are asked for, and the API fills them in.
import { NoAnswer, Problem } from "../../lib/api.js";
import { goesBySms } from "./state.js";
import { compose } from "./texts.js";

const CHILDREN_MAX = 6;

/** {name, text}, or null when nobody is there or it cannot be asked: the page then shows neutral words, as it says. */
export async function readAs(api, state, estimate, groups) {
  const sharing = new Set(estimate.recipients.map((one) => one.duplicate_of).filter(Boolean));
  const reader = estimate.recipients.find((one) => ["sendable", "inbox_only"].includes(one.state) && !sharing.has(one.id));
  if (!reader) return null;
  const get = (id) => api.get(`/people/${encodeURIComponent(id)}`);
  try {
    const person = await get(reader.id);
    const isStudent = person.role === "student";
    const family = await Promise.all((isStudent ? person.guardians : person.students).slice(0, CHILDREN_MAX).map(get));
    const there = family.filter((one) => one.left_at === null);
    const meant = there.filter((one) => state.whole || one.groups.some((id) => state.groups.has(id)));
    const students = isStudent ? [person] : meant.length ? meant : there;
    const guardians = isStudent ? family : person.role === "guardian" ? [person] : [];
    const courses = (students.length ? students : [person]).flatMap((one) => one.groups).filter((id) => groups.get(id)?.kind === "course");
    const values = {
      student: [...new Set(students.map((one) => one.given_name))].sort(),
      course: [...new Set(courses.map((id) => groups.get(id).name))],
      guardian: [...new Set(guardians.map((one) => `${one.given_name} ${one.family_name}`))],
    };
    const said = await api.send("POST", "/templates/preview", { text: compose(state.text), drop_accents: state.withoutAccents && goesBySms(state), values });
    return { name: reader.name, text: said.text };
  } catch (error) {
    if (error instanceof Problem || error instanceof NoAnswer) return null;
    throw error;
  }
}
