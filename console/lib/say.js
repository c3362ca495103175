// How pages tell people that something went well, went wrong, or takes its time. Said aloud to whoever hears the page.
import { NoAnswer, Problem } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { words } from "./words.js";

const t = words({
  es: {
    no_answer: "No hubo respuesta: puede que se haya hecho o que no. Inténtelo otra vez; si ya estaba hecho, no se hará dos veces.",
    signed_out: "Su sesión en el portal terminó. Vuelva a entrar por el portal; lo escrito sigue aquí.",
    too_many: (seconds) => `Demasiadas solicitudes en este momento. Inténtelo en ${seconds} s.`,
    still_running: "Lo mismo ya se está haciendo. Espere un momento e inténtelo otra vez.",
    broken: "Algo falló de nuestro lado. Inténtelo otra vez en un momento.",
    refused: "No se pudo hacer.",
    support: (id) => `Para soporte: ${id}`,
    again: "Intentar otra vez",
    loading: "Cargando…",
  },
  en: {
    no_answer: "No answer came: it may have been done or not. Try again; if it was done, it is not done twice.",
    signed_out: "Your session at the portal has ended. Enter again through the portal; what you wrote is still here.",
    too_many: (seconds) => `Too many requests at this moment. Try again in ${seconds} s.`,
    still_running: "The same is being done already. Wait a moment and try again.",
    broken: "Something failed on our side. Try again in a moment.",
    refused: "It could not be done.",
    support: (id) => `For support: ${id}`,
    again: "Try again",
    loading: "Loading…",
  },
});

const KINDS = { good: "done", bad: "warning", warn: "warning", info: "clock" };

/** A note: `kind` is good, bad, warn or info. Whoever hears the page hears it at once if it is bad. */
export function note(kind, ...children) {
  return h("div", { class: `note ${kind}`, role: kind === "bad" ? "alert" : "status" }, icon(KINDS[kind]), h("div", { class: "stack small" }, ...children));
}

/** What an error means and what to do, in plain words. `known`: words for the codes that a view knows better. */
export function reasonOf(error, known = {}) {
  if (error instanceof NoAnswer) return t("no_answer");
  if (!(error instanceof Problem)) throw error;
  if (known[error.code]) return typeof known[error.code] === "function" ? known[error.code](error) : known[error.code];
  if (error.status === 401) return t("signed_out");
  if (error.status === 429) return t("too_many", error.retryAfterSeconds ?? 60);
  if (error.code === "still_running") return t("still_running");
  if (error.status >= 500) return t("broken");
  return [error.title, error.detail].filter(Boolean).join(". ") || t("refused");
}

/** An error as a note, with a way to try again if `retry` is given. */
export function errorNote(error, { known, retry } = {}) {
  const id = error instanceof Problem && error.status >= 500 ? error.body.instance : null;
  return note(
    "bad",
    h("p", {}, reasonOf(error, known)),
    id && h("p", { class: "small" }, t("support", id)),
    retry && h("p", {}, h("button", { type: "button", class: "button", onClick: retry }, t("again"))),
  );
}

/**
 * Shows what `load` answers, as `show` makes it, in `place`; meanwhile that it is loading, and afterwards an error with a way to try
 * again. What is there already stays until the new is there.
 */
export async function load(place, loader, show, known = {}) {
  place.setAttribute("aria-busy", "true");
  if (!place.hasChildNodes()) fill(place, h("p", { class: "soft", role: "status" }, t("loading")));
  try {
    fill(place, show(await loader()));
  } catch (error) {
    fill(place, errorNote(error, { known, retry: () => load(place, loader, show, known) }));
  } finally {
    place.removeAttribute("aria-busy");
  }
}

/**
 * The same for what is seen together: nothing of it is shown before each part has its answer or its error, so that nothing moves under
 * whoever reads. `parts`: [{place, loader, show, known}], whose places `whole` holds.
 */
export async function loadTogether(root, whole, parts) {
  root.setAttribute("aria-busy", "true");
  fill(root, h("p", { class: "soft", role: "status" }, t("loading")));
  const found = await Promise.allSettled(parts.map(({ loader }) => loader()));
  parts.forEach(({ place, loader, show, known = {} }, at) => {
    const { reason, value } = found[at];
    fill(place, reason ? errorNote(reason, { known, retry: () => load(place, loader, show, known) }) : show(value));
  });
  fill(root, whole);
  root.removeAttribute("aria-busy");
}

/** The foot of a list: a press asks for the page that follows, `put` adds it, until there is none (`next: null`). */
export function moreOf(label, next, ask, put) {
  const foot = h("div", { class: "row" });
  const button = (following) => following && h("button", { type: "button", class: "button", onClick: () => load(foot, () => ask(following), take) }, label);
  const take = (page) => {
    put(page);
    return button(page.next);
  };
  fill(foot, button(next));
  return foot;
}

/** L9: of whoever opted out, the number (if there is one) in red, with an icon and the words beside it. */
export function redNumber(said, words) {
  return h("span", { class: "red-number" }, icon("blocked"), " ", said, said && " · ", words);
}

/** A button that does something which takes time: it says so, cannot be pressed twice, and keeps its place. */
export function actionButton(label, act, { kind = "", iconName = null } = {}) {
  const button = h("button", { type: "button", class: `button ${kind}` }, iconName && icon(iconName), h("span", {}, label));
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-busy") === "true") return;
    set(button, true);
    try {
      await act();
    } finally {
      set(button, false);
    }
  });
  return button;
}

function set(button, isBusy) {
  button.setAttribute("aria-busy", String(isBusy));
  button.setAttribute("aria-disabled", String(isBusy));
}
