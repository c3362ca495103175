// What a link to this page may bring along: numbers, `interactive.html#to=8095550101,8295550102`. Never a text: nobody puts words into
// another's mouth. In the fragment, which no browser sends to anybody: a query would be in every log on the way.

const NUMBERS_MAX = 20;
const NUMBER = /^\+?[0-9]{7,15}$/;

/** The numbers of a link, separated by commas; "" if it says `to` and nothing that is a number; null if it says nothing of the kind. */
export function numbersOfLink(fragment) {
  const asked = new URLSearchParams(fragment.replace(/^#/, "").replaceAll("+", "%2B")).get("to");
  if (asked === null) return null;
  const numbers = asked.split(",").map((one) => one.trim());
  return numbers.filter((one) => NUMBER.test(one)).slice(0, NUMBERS_MAX).join(",");
}
