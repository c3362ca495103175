// What the counts of a message come to. Pure: no page in it.

/** Every state of a recipient, in the order of the bar: what went well, what is on its way, what did not arrive. */
export const STATES = ["delivered", "in_inbox", "sent", "sending", "queued", "unknown", "unreachable", "wrong_number", "blocked", "expired", "not_sent", "stopped", "opted_out"];
export const LOST = ["unreachable", "wrong_number", "blocked", "expired", "not_sent", "stopped", "opted_out"];
export const UNCONFIRMED = ["sent", "unknown"];
export const WAITING = ["queued", "sending"];
/** Whom `POST …/again` takes unless it is told otherwise. */
export const AGAIN = ["unreachable", "expired", "not_sent", "stopped"];

export const sum = (counts, states) => states.reduce((all, state) => all + (counts?.[state] ?? 0), 0);

export const goesBySms = (message) => message.channels.includes("sms");

/** {done, all, isInbox}: how far a message is; null while it goes nowhere. */
export function progressOf(message) {
  if (["draft", "planning", "scheduled", "cancelled"].includes(message.state)) return null;
  if (message.recipients) return { done: message.counts?.delivered ?? 0, all: message.recipients, isInbox: false };
  const copies = message.message_centre.copies;
  return copies ? { done: message.message_centre.put ?? 0, all: copies, isInbox: true } : null;
}

/** Whether something may still change by itself, soon enough to look. */
export function isMoving(message, now = Date.now()) {
  if (["planning", "sending", "stopping"].includes(message.state)) return true;
  if (message.state === "scheduled") return message.send_at !== null && Date.parse(message.send_at) - now < 5 * 60_000;
  if (message.state !== "sent" && message.state !== "stopped") return false;
  return ageMinutes(message, now) < 72 * 60 && sum(message.counts, [...WAITING, ...UNCONFIRMED]) > 0;
}

/** How long to wait before it is looked at again: what has just gone out moves by the second, what is old by the hour. */
export function pauseMs(message, now = Date.now()) {
  const age = ageMinutes(message, now);
  if (age < 3) return 2_000;
  if (age < 20) return 5_000;
  return age < 120 ? 20_000 : 60_000;
}

function ageMinutes(message, now) {
  // The last of its moments: a message stopped or sent after it was scheduled is as young as that.
  const moments = [message.send_at, message.accepted_at, message.finished_at, message.created_at].filter(Boolean).map((at) => Date.parse(at));
  return (now - Math.max(...moments.filter((at) => at <= now + 60_000), Date.parse(message.created_at))) / 60_000;
}

/** Points of the curve, from its beginning (nothing yet) to what is counted now. */
export function curveOf(message) {
  const from = message.send_at ?? message.accepted_at;
  if (!from || !message.counts || !message.recipients) return [];
  const points = [{ at: Date.parse(from), counts: { queued: message.recipients } }];
  for (const one of message.curve ?? []) points.push({ at: Date.parse(one.at), counts: one.counts });
  points.push({ at: Date.parse(message.counted_at), counts: message.counts });
  return points
    .filter((point, index) => index === 0 || point.at > points[0].at)
    .sort((one, other) => one.at - other.at)
    .map(({ at, counts }) => ({ at, arrived: sum(counts, ["delivered", "in_inbox"]), unconfirmed: sum(counts, UNCONFIRMED), lost: sum(counts, LOST), waiting: sum(counts, WAITING) }));
}

/** A letter or accent more or less is the same: "pena" finds "Peña". */
export const folded = (text) => text.normalize("NFD").replaceAll(/\p{Diacritic}/gu, "").toLowerCase();
