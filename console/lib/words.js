// What the pages say, in Spanish and English. A view brings its own words; a word that is missing shows its name, which a test finds.

const LANGUAGES = ["es", "en"];
const asked = new URLSearchParams(location.search).get("lang");
const kept = remembered();

/** "es" or "en": as asked in the address, else as chosen before, else Spanish. */
export let language = [asked, kept].find((one) => LANGUAGES.includes(one)) ?? "es";

/** The words of one view: `words({es: {...}, en: {...}})` answers `t(name, ...values)`. A word may be a function of the values. */
export function words(dictionary) {
  return (name, ...values) => {
    const word = dictionary[language][name] ?? name;
    return typeof word === "function" ? word(...values) : word;
  };
}

/** The page again, in the other language. What is being written must have been kept by then. */
export function changeLanguage(chosen) {
  remember(chosen);
  const address = new URL(location.href);
  address.searchParams.set("lang", chosen);
  location.replace(address);
}

/** The other language without loading the page again, for one that keeps nothing over that: it shows itself anew. */
export function speak(chosen) {
  remember(chosen);
  language = chosen;
}

function remember(chosen) {
  try {
    localStorage.setItem("language", chosen);
  } catch {
    // A browser that keeps nothing: the address says it.
  }
}

function remembered() {
  try {
    return localStorage.getItem("language");
  } catch {
    return null;
  }
}
