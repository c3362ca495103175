// Numbers as people type and paste them. What one is, the API decides; here a list is taken apart and the same number twice is seen.

const TYPED_BYTES_MAX = 32;
const DIGITS_MIN = 7;
const DIGITS_MAX = 15;
const PLANS = { CL: { code: "56", digits: 9 } };
const NORTH_AMERICA = { code: "1", digits: 10 }; // the Dominican Republic's, too

/**
 * {numbers: [{typed, key}], rest: [texts that are no number]}, in their order. Numbers stand apart by commas, semicolons, tabs and line ends,
 * or by spaces where that can be told; `country`: ISO 3166-1 alpha-2, in which one without a country's code is read.
 */
export function readList(text, country) {
  const plain = text.normalize("NFKC").replace(/\p{Cf}/gu, ""); // full-width digits; marks that are copied along from contacts
  const pieces = plain.split(/[,;\n\r\t|]+/).flatMap((piece) => apart(piece.trim(), country));
  const numbers = [];
  const rest = [];
  for (const piece of pieces) {
    const key = keyOf(piece, country);
    if (key === null) rest.push(piece);
    else numbers.push({ typed: new TextEncoder().encode(piece).length > TYPED_BYTES_MAX ? key : piece, key });
  }
  return { numbers, rest };
}

/** What the same number has in common however it is spelt, E.164 where that can be told; null for what is no number. */
export function keyOf(typed, country) {
  const { code, digits } = PLANS[country] ?? NORTH_AMERICA;
  const dialled = typed.replace(/\D/g, "");
  if (/\p{L}/u.test(typed) || dialled.length < DIGITS_MIN || dialled.length > DIGITS_MAX + 3) return null;
  if (typed.startsWith("+")) return `+${dialled}`;
  if (/^(00|011)/.test(dialled)) return `+${dialled.replace(/^(00|011)/, "")}`;
  if (dialled.length === digits) return `+${code}${dialled}`;
  if (dialled.length === digits + code.length && dialled.startsWith(code)) return `+${dialled}`;
  return dialled;
}

/** A piece with spaces is one number, or several: a plus begins another, and so does what comes after a whole one. */
function apart(piece, country) {
  const found = [];
  let one = "";
  for (const token of piece.split(/\s+/).filter(Boolean)) {
    if (one && (token.startsWith("+") || isWhole(one, country))) {
      found.push(one);
      one = "";
    }
    one = one ? `${one} ${token}` : token;
  }
  return one ? [...found, one] : found;
}

function isWhole(typed, country) {
  const { code, digits } = PLANS[country] ?? NORTH_AMERICA;
  const dialled = typed.replace(/\D/g, "");
  if (/^(00|011)/.test(dialled)) return false;
  const isWithCode = typed.startsWith("+") || dialled.startsWith(code);
  return dialled.length >= (isWithCode ? digits + code.length : digits);
}
