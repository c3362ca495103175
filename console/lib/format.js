// Figures and times as people of the page's language read them.
import { language } from "./words.js";

const LOCALE = { es: "es-CL", en: "en-GB" }[language];
const WHOLE = new Intl.NumberFormat(LOCALE);

export const number = (value) => WHOLE.format(value);

/** "jue, 26 nov, 09:05" in this time zone (IANA), or where the reader is. */
export function moment(at, timeZone) {
  return new Intl.DateTimeFormat(LOCALE, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false, timeZone }).format(new Date(at));
}

/** "26 nov 2026" */
export function day(at, timeZone) {
  return new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", year: "numeric", timeZone }).format(new Date(at));
}

/** "09:05:31", or without the seconds */
export function time(at, { seconds = false, timeZone } = {}) {
  return new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit", second: seconds ? "2-digit" : undefined, hour12: false, timeZone }).format(new Date(at));
}

/** Seconds as "4:09". */
export function countdown(seconds) {
  const left = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
}

/** An E.164 number in groups, easier to read and the same digits: "+56 9 5555 0102", "+1 809 555 0101". */
export function phone(e164) {
  const chile = /^\+56(9)(\d{4})(\d{4})$/.exec(e164);
  if (chile) return `+56 ${chile.slice(1).join(" ")}`;
  const north = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(e164);
  return north ? `+1 ${north.slice(1).join(" ")}` : e164;
}
