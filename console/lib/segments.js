// How many segments a text is, while it is typed. The same rule as recado/rules/segments.py; a test holds them together, and the
// API's estimate is what counts. Sources: 3GPP TS 23.038 §6.2.1, §6.2.3; 3GPP TS 23.040 §9.2.3.24.1.

const ALPHABET = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const EXTENSION = new Set("\f^{}\\[~]|€");
const PLAIN = { á: "a", í: "i", ó: "o", ú: "u", Á: "A", Í: "I", Ó: "O", Ú: "U" };

/** {encoding: "GSM-7" | "UCS-2", units, segments, costly}: `costly` are the characters that are not in GSM-7, each once. */
export function measure(text) {
  const letters = [...text];
  const costly = [...new Set(letters.filter((letter) => !ALPHABET.has(letter) && !EXTENSION.has(letter)))];
  if (costly.length === 0) return { encoding: "GSM-7", costly, ...size(letters, (letter) => EXTENSION.has(letter), 160, 153) };
  return { encoding: "UCS-2", costly, ...size(letters, (letter) => letter.length === 2, 70, 67) };
}

/** The text with plain vowels for á í ó ú, the letters of Spanish that GSM-7 lacks. */
export function dropAccents(text) {
  return text.replace(/[áíóúÁÍÓÚ]/g, (letter) => PLAIN[letter]).replace(/([aiouAIOU])\u0301+/g, "$1");
}

/** How many accents that takes away. */
export function countAccents(text) {
  return (text.match(/[áíóúÁÍÓÚ]|[aiouAIOU]\u0301/g) ?? []).length;
}

/** A pair (an escape, a surrogate) may not straddle two parts: then a part ends one unit early. */
function size(letters, isPair, alone, part) {
  let units = 0;
  let place = 0;
  for (const letter of letters) {
    const width = isPair(letter) ? 2 : 1;
    units += width;
    if (width === 2 && place % part === part - 1) place += 1;
    place += width;
  }
  return { units, segments: units <= alone ? 1 : Math.ceil(place / part) };
}
