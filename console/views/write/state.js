// What is being written, and how the API is asked of it. Nothing here shows anything.
import { compose } from "./texts.js";

export const WHO = ["guardians", "students", "staff"];
export const CATEGORIES = ["emergency", "environmental_emergency", "classes_cancelled", "meeting", "other_alert", "notice"];
const CHANNELS = { sms: ["sms"], both: ["sms", "inbox"], inbox: ["inbox"] };

/** An empty message. `people`, `minusPeople`: by id, what is known of each. `whole`: the whole school, no groups named. */
export function emptyState() {
  return {
    text: "",
    category: "",
    who: new Set(["guardians"]),
    whole: false,
    groups: new Set(),
    people: new Map(),
    minusPeople: new Map(),
    minusGroups: new Set(),
    by: "sms",
    unreachable: false,
    withoutAccents: false,
    noticeConfirmed: false,
    when: "now",
    at: "",
    offset: "", // only where a clock time comes twice
  };
}

/** A message of the API as state. The names of its people are asked for apart. */
export function stateOf(message) {
  const state = emptyState();
  const { audience } = message;
  const named = (ids = []) => new Map(ids.map((id) => [id, { id, name: id }]));
  Object.assign(state, {
    text: message.text,
    category: message.category,
    who: new Set(audience.who ?? []),
    whole: Boolean(audience.who?.length) && !audience.groups?.length,
    groups: new Set(audience.groups ?? []),
    people: named(audience.people),
    minusPeople: named(audience.minus_people),
    minusGroups: new Set(audience.minus_groups ?? []),
    by: message.channels.length === 2 ? "both" : message.channels[0],
    unreachable: message.inbox_for_unreachable,
    withoutAccents: message.drop_accents,
    when: message.state === "scheduled" ? "later" : "now",
    at: message.send_at_local?.slice(0, 16) ?? "",
  });
  return state;
}

export const goesBySms = (state) => state.by !== "inbox";

/** What the API is told of it. */
export function contentOf(state) {
  const named = !state.whole && state.groups.size === 0; // kinds of people of nowhere: only whoever is named
  return {
    text: compose(state.text),
    category: state.category,
    audience: {
      who: named ? [] : WHO.filter((one) => state.who.has(one)),
      groups: state.whole ? [] : [...state.groups].sort(),
      people: [...state.people.keys()].sort(),
      minus_people: [...state.minusPeople.keys()].sort(),
      minus_groups: [...state.minusGroups].sort(),
    },
    channels: CHANNELS[state.by],
    inbox_for_unreachable: state.by === "sms" && state.unreachable,
    drop_accents: state.withoutAccents,
    confirm_notice_by_sms: state.category === "notice" && goesBySms(state) && state.noticeConfirmed,
  };
}

/** Names of what is missing before anything can be worked out; none: it can. */
export function missingOf(state) {
  const missing = [];
  if (!state.category) missing.push("missing_category");
  if (!state.text.trim()) missing.push("missing_text");
  if (state.people.size === 0) {
    if (state.who.size === 0) missing.push("missing_who");
    else if (!state.whole && state.groups.size === 0) missing.push("missing_groups");
  } else if (state.who.size === 0 && (state.whole || state.groups.size > 0)) missing.push("missing_who");
  if (state.category === "notice" && goesBySms(state) && !state.noticeConfirmed) missing.push("missing_notice");
  return missing;
}

/** "2026-12-01T08:00" on the clocks of this zone. */
export function clockIn(timeZone, at) {
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
  }).formatToParts(at);
  const of = (type) => parts.find((part) => part.type === type).value;
  return `${of("year")}-${of("month")}-${of("day")}T${of("hour")}:${of("minute")}`;
}
