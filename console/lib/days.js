// Days as a school's clocks have them, and the moments they begin at.

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const FURTHEST_MS = 15 * HOUR_MS; // no place on earth is further from UTC

/** When this day ("2026-12-01") begins on the clocks of a zone, as ISO 8601 in UTC; on some days that is not midnight. */
export function beginOf(date, timeZone) {
  const dayAt = dayTeller(timeZone);
  const around = Date.parse(`${date}T00:00:00Z`);
  let before = around - FURTHEST_MS; // the day before still
  let begun = around + FURTHEST_MS;
  while (begun - before > MINUTE_MS) {
    const middle = before + Math.floor((begun - before) / 2 / MINUTE_MS) * MINUTE_MS;
    if (dayAt(middle) < date) before = middle;
    else begun = middle;
  }
  return new Date(begun).toISOString();
}

/** "2026-12-02" after "2026-12-01". */
export function dayAfter(date) {
  return new Date(Date.parse(`${date}T00:00:00Z`) + 24 * HOUR_MS).toISOString().slice(0, 10);
}

function dayTeller(timeZone) {
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" }); // as ISO writes it
  return (at) => format.format(at);
}
