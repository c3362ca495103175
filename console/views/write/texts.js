// A text as it goes out, while it is typed: composed, its fields filled in, without accents if it is to be so. The same rules as
// recado/rules/texts.py, as far as a meter needs them; a test holds them together.
import { dropAccents, measure } from "../../lib/segments.js";

export const SEGMENTS_MAX = 10;
const FIELD = /\{([a-z_áéíóúüñ]{1,30})\}/gi;
const FIELD_OF_WORD = {
  student: "student", estudiante: "student", alumno: "student", alumna: "student",
  course: "course", curso: "course",
  guardian: "guardian", apoderado: "guardian", apoderada: "guardian",
};
const NEUTRAL = { student: "su estudiante", course: "su curso", guardian: "apoderado/a" };

/** As it is kept: NFC, one kind of line end, without what pasting brings along unseen. */
export function compose(raw) {
  return raw.replace(/\r\n|[\r\u2028\u2029]/g, "\n").replace(/[\u00ad\u200b\u2060\ufeff]/g, "").normalize("NFC");
}

export const hasFields = (text) => [...text.matchAll(FIELD)].some(([, word]) => word.toLowerCase() in FIELD_OF_WORD);

/** The text with neutral words in its fields: what the API measures before it knows who receives it. */
export function fillNeutral(text, { withoutAccents }) {
  const plain = withoutAccents ? dropAccents : (part) => part;
  let said = "";
  let start = 0;
  for (const found of text.matchAll(FIELD)) {
    const field = FIELD_OF_WORD[found[1].toLowerCase()];
    if (!field) continue;
    said += plain(text.slice(start, found.index)) + plain(NEUTRAL[field]);
    start = found.index + found[0].length;
  }
  return said + plain(text.slice(start));
}

/** Its size as the API would say it for `text.units`, `.segments` and `.encoding`, and how many characters still fit. */
export function meter(raw, { withoutAccents }) {
  const size = measure(fillNeutral(compose(raw), { withoutAccents }));
  const [alone, part] = size.encoding === "GSM-7" ? [160, 153] : [70, 67];
  const room = size.segments === 1 ? alone - size.units : size.segments * part - size.units;
  return { ...size, room: Math.max(0, room) };
}
