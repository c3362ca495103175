// The page of sessions: anybody on the web writes to handsets and reads what they answer, without an account (C1, C2).
import { fill, h } from "./lib/dom.js";
import { readSettings } from "./lib/host.js";
import { parentOf } from "./lib/parent.js";
import { language, speak } from "./lib/words.js";
import "./views/interactive.js";
import { t } from "./views/interactive/words.js";

const view = document.createElement("recado-interactive");
const place = h("main", { class: "page", id: "content", tabindex: "-1" }, view);
const skip = h("a", { class: "skip", href: "#content", onClick: jump });
const choice = h(
  "div",
  { class: "languages", role: "group" },
  ["es", "en"].map((one) => h("button", { type: "button", lang: one, onClick: () => change(one) }, one.toUpperCase())),
);

fill(
  document.body,
  skip,
  // No link: whoever leaves the page ends the talk.
  h("header", { class: "bar" }, h("p", { class: "brand" }, h("img", { src: "favicon.svg", width: 32, height: 32, alt: "" }), "recado"), choice),
  place,
);
showLanguage();
if (window.parent !== window) tellHeight();

/** Whoever embeds it need not guess how high it is. Where it cannot be said, the frame keeps the height that it was given. */
async function tellHeight() {
  const { parents } = await readSettings().catch(() => ({ parents: [] })); // the view says what could not be loaded
  const parent = parentOf(parents);
  if (parent.isAllowed) parent.tellHeight();
}

/** Without loading the page again: the talk goes on. */
function change(chosen) {
  if (chosen === language) return;
  speak(chosen);
  showLanguage();
  view.showAgain();
}

function showLanguage() {
  document.documentElement.lang = language;
  document.title = t("page_title");
  skip.textContent = t("skip");
  choice.setAttribute("aria-label", t("language"));
  for (const button of choice.children) button.setAttribute("aria-pressed", String(button.lang === language));
}

function jump(event) {
  event.preventDefault(); // the address's fragment is for numbers
  place.focus();
}
