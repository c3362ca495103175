// What a refusal means and when to try again, in plain words: every limit of a session has its own.
import { NoAnswer, Problem } from "../../lib/api.js";
import { phone } from "../../lib/format.js";
import { measure } from "../../lib/segments.js";
import { language } from "../../lib/words.js";
import { t } from "./words.js";

const LOCALE = { es: "es-DO", en: "en-GB" };
const LIMITS = [
  "source_sessions",
  "source_recipients",
  "source_link_recipients",
  "same_text_recipients",
  "recipients",
  "session_texts",
  "handset_texts",
  "handset_sessions",
];
const NOT_REACHED = ["not_a_number", "not_a_subscriber", "opted_out", "no_short_code_free", "too_many_texts", "too_many_sessions"];
/** Whose reason does not pass by waiting. */
export const FOR_GOOD = ["not_a_number", "not_a_subscriber", "opted_out"];
const IDLE_SECONDS = 300;

/** "3:05 p. m.", or "15:05" */
export function clockTime(at) {
  return new Intl.DateTimeFormat(LOCALE[language], { hour: "numeric", minute: "2-digit" }).format(new Date(at));
}

/** "12 minutos": rounded up, so that it is not too early. */
export function wait(seconds) {
  const whole = Math.max(1, Math.ceil(seconds));
  if (whole < 90) return t("seconds", whole);
  if (whole < 5400) return t("minutes", Math.ceil(whole / 60));
  return t("hours", Math.ceil(whole / 3600));
}

/** When to try again, after this moment of the server's (ISO), or so many seconds from now; nothing if nobody knows. */
export function retryWords(clock, { at = null, seconds = null }) {
  if (at !== null) {
    const left = (Date.parse(at) - clock.now()) / 1000;
    // The moment by this machine's clock: that is the one its user looks at.
    return t("retry_at", clockTime(Date.now() + Math.max(0, left) * 1000), wait(left));
  }
  if (seconds === null) return "";
  return seconds < 90 ? t("retry_in", wait(seconds)) : t("retry_at", clockTime(Date.now() + seconds * 1000), wait(seconds));
}

/** {who, why}: a refused number, and its reason in words with when to try again. `shown`: the number as the page shows it. */
export function refusedWords(one, clock, shown) {
  const why = t(NOT_REACHED.includes(one.reason) ? one.reason : "not_known");
  const again = one.reason === "too_many_sessions" && !one.retry_at ? retryWords(clock, { seconds: IDLE_SECONDS }) : retryWords(clock, { at: one.retry_at });
  return { who: shown, why: [why, again].filter(Boolean).join(" ") };
}

/** What is wrong with a text or with the numbers: [[field, words]], field "text" or "numbers". `asked`: the request; `most`: the settings. */
export function fieldWords(problem, asked, most) {
  return problem.fields.map(({ field, code }) => {
    if (field === "/text") {
      if (code === "too_many_links" || code === "control_characters") return ["text", t(code)];
      return ["text", code === "empty" ? t("empty_text") : t("too_long", measure(asked.text).segments, most.segments_max)];
    }
    const place = /^\/to\/(\d+)$/.exec(field);
    if (place && code !== "not_in_this_session") return ["numbers", t("no_number", asked.to[Number(place[1])])];
    if (field.startsWith("/to")) return ["numbers", code === "too_many" ? t(code, most.handsets_max) : t(["not_in_this_session", "too_many_for_a_link"].includes(code) ? code : "refused")];
    return ["text", t("refused")];
  });
}

/** The words for an error as a whole: a list of sentences. */
export function errorWords(error, clock) {
  if (error instanceof NoAnswer) return [t("no_answer")];
  if (!(error instanceof Problem)) throw error;
  const again = retryWords(clock, { seconds: error.retryAfterSeconds });
  const stays = t("text_stays");
  if (error.code === "session_limit_reached") return [t(LIMITS.includes(error.body.limit) ? error.body.limit : "limit"), again, stays];
  if (error.code === "no_handset_reachable") return [t("nobody"), again];
  if (error.code === "captcha_required" || error.code === "captcha_failed") return [t("captcha_needed"), stays];
  if (error.code === "captcha_unavailable") return [t("captcha_unavailable"), again, stays];
  if (error.code === "still_sending" || error.code === "still_running") return [t("wait_turn"), again];
  if (error.code === "idempotency_key_reused") return [t("key_reused"), stays];
  if (error.status === 429) return [t("firewall"), again || retryWords(clock, { seconds: 60 }), stays];
  if (error.status === 503) return [t("busy"), again || retryWords(clock, { seconds: 5 }), stays];
  if (error.status >= 500) return [t("broken"), stays, ...(error.body.instance ? [t("support", error.body.instance)] : [])];
  return [t("refused"), stays];
}

/** A number as it is read most easily: E.164 in groups, anything else as it was typed. */
export const shown = (number) => (number.startsWith("+") ? phone(number) : number);
