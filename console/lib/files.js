// Files of the API, for a spreadsheet: asked for with the token, so by fetch and not by a link.
import { NoAnswer } from "./api.js";
import { h } from "./dom.js";

const PARTS_MAX = 200;
const KEPT_MS = 60_000; // the browser has taken it by then

/**
 * Every part of a CSV, one file after the other as the API cuts them. `onPart(part)` is told before each; answers how many there were.
 * Raises what `api.file` raises: then what was downloaded is not complete.
 */
export async function downloadAll(api, path, query, name, onPart, partsMax = PARTS_MAX) {
  let following = path;
  let asked = query;
  for (let part = 1; part <= partsMax; part += 1) {
    onPart(part);
    const { blob, next } = await api.file(following, asked);
    save(blob, `${name}${part > 1 || next ? `-${part}` : ""}.csv`);
    if (!next) return part;
    const { pathname, search } = new URL(next, `https://api.invalid/v1${following}`); // relative, or from /v1 on
    following = pathname.replace(/^\/v1/, "") + search;
    asked = {};
  }
  throw new NoAnswer("more_parts"); // no end of them: what there is is not all
}

/** Hands a file to the browser. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = h("a", { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}
