// Where a page gets its token: from the portal that embeds it (lib/parent.js), or from the portal's token address.
// A token is kept in memory only, and said to nobody but the API.

import { NoAnswer } from "./api.js";

const WAIT_SECONDS = 10;

/** What this installation says of itself: {token_url, parents: [origins], demo: bool, live_path}. */
export async function readSettings() {
  let answer;
  try {
    answer = await fetch("settings.json", { cache: "no-cache", credentials: "omit", signal: AbortSignal.timeout(WAIT_SECONDS * 1000) });
  } catch (error) {
    throw new NoAnswer(error.name);
  }
  if (!answer.ok) throw new NoAnswer("settings.json");
  return answer.json();
}

/** `() => token or null`, asked at the start and whenever the API does not accept the token any more. `parent`: who embeds this page, or null. */
export function tokenSource(settings, demo = null, parent = null) {
  const ask = parent ? () => parent.token() : () => fromPortal(settings, demo);
  let asked = null; // several requests may find at the same time that the token is too old: one is asked for
  return () => (asked ??= ask().finally(() => (asked = null)));
}

/** Whether two tokens are of the same person in the same role: else somebody else signed in at the portal meanwhile. */
export function isSamePerson(one, other) {
  return ["iss", "sub", "role", "person"].every((name) => one[name] === other[name]);
}

/** What the token says of itself, to decide what is offered; the API decides what is allowed. */
export function claims(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0))));
  } catch {
    return {};
  }
}

async function fromPortal({ token_url: address, demo: isDemo }, as) {
  if (!address || (isDemo && !as)) return null;
  const asked = new URL(address);
  for (const [name, value] of Object.entries(as ?? {})) asked.searchParams.set(name, value);
  try {
    const answer = await fetch(asked, { credentials: isDemo ? "omit" : "include", cache: "no-store", signal: AbortSignal.timeout(WAIT_SECONDS * 1000) });
    return answer.ok ? ((await answer.json()).token ?? null) : null;
  } catch {
    return null;
  }
}
