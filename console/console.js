// The school's console: who is here, what they may do, and one view at a time. Each view is an element of its own.
import { Api } from "./lib/api.js";
import { fill, h, icon } from "./lib/dom.js";
import { claims, isSamePerson, readSettings, tokenSource } from "./lib/host.js";
import { parentOf } from "./lib/parent.js";
import { note } from "./lib/say.js";
import { changeLanguage, language, words } from "./lib/words.js";

const t = words({
  es: {
    skip: "Ir al contenido",
    title: "recado",
    sections: "Secciones",
    language: "Idioma",
    write: "Escribir",
    messages: "Mensajes",
    replies: "Respuestas",
    people: "Personas",
    credits: "Créditos",
    inbox: "Mis mensajes",
    no_token: "Entre por el portal de su colegio: esta página se abre con la sesión que usted tiene allí.",
    no_session: "El portal no entregó su sesión. Si la cerró, vuelva a entrar al portal.",
    not_allowed: (origin) => `Esta página está dentro de otra que no tiene permiso para mostrarla${origin ? ` (${origin})` : ""}. Ábrala desde el portal de su colegio.`,
    again: "Intentar otra vez",
    no_settings: "La página no se pudo cargar entera. Revise su conexión.",
    not_yours: "Con su sesión no se puede ver esta sección.",
    nothing: "Con esta sesión no hay nada que ver aquí.",
    enter_as: "Entrar como…",
    demo: "Demostración: Escuela Los Aromos. Elija quién es usted.",
    director: "directora",
    administrator: "administrativo",
    teacher: "profesora",
    guardian: "apoderada",
    loading: "Cargando…",
    not_loaded: "Esta sección no se pudo cargar. Revise su conexión y recargue la página.",
  },
  en: {
    skip: "Skip to the content",
    title: "recado",
    sections: "Sections",
    language: "Language",
    write: "Write",
    messages: "Messages",
    replies: "Replies",
    people: "People",
    credits: "Credits",
    inbox: "My messages",
    no_token: "Enter through your school's portal: this page opens with the session that you have there.",
    no_session: "The portal did not hand your session over. If you closed it, enter the portal again.",
    not_allowed: (origin) => `This page is inside another one that may not show it${origin ? ` (${origin})` : ""}. Open it from your school's portal.`,
    again: "Try again",
    no_settings: "The page could not be loaded entirely. Check your connection.",
    not_yours: "This section cannot be seen with your session.",
    nothing: "There is nothing to see here with this session.",
    enter_as: "Enter as…",
    demo: "Demonstration: Escuela Los Aromos. Choose who you are.",
    director: "head teacher",
    administrator: "administrative staff",
    teacher: "teacher",
    guardian: "guardian",
    loading: "Loading…",
    not_loaded: "This section could not be loaded. Check your connection and reload the page.",
  },
});

const IN_CHARGE = ["director", "administrator"];
// Every view: its element's file, and who is offered it. What is not offered the API refuses anyway.
const VIEWS = {
  write: { element: "recado-write", roles: IN_CHARGE },
  messages: { element: "recado-messages", roles: IN_CHARGE },
  replies: { element: "recado-replies", roles: IN_CHARGE },
  people: { element: "recado-people", roles: IN_CHARGE },
  credits: { element: "recado-credits", roles: IN_CHARGE },
  inbox: { element: "recado-inbox", roles: ["guardian", "student", "teacher", "staff"] },
};
const DEMO_PEOPLE = {
  director: { role: "director" },
  administrator: { role: "administrator" },
  teacher: { role: "teacher", person: "staff-05" },
  guardian: { role: "guardian", person: "guardian-007" },
};

// The page of one view says which: it begins with that one, and offers no others (tools/view_pages.py).
const { view: ONLY = null } = document.body.dataset;

export async function start() {
  document.documentElement.lang = language;
  document.title = t("title");
  const place = h("main", { class: "page", id: "content", tabindex: "-1" }, h("p", { class: "soft", role: "status" }, t("loading")));
  const isFramed = window.parent !== window;
  fill(document.body, !(ONLY && isFramed) && bar([]), place);
  const asked = partsOf(location.hash)[0] || ONLY;
  if (Object.hasOwn(VIEWS, asked ?? "")) import(`./views/${asked}.js`).catch(() => {}); // meanwhile; `show` says what did not load
  let settings;
  try {
    settings = await readSettings();
  } catch {
    fill(place, note("bad", h("p", {}, t("no_settings")), again()));
    return;
  }
  const parent = parentOf(settings.parents);
  const isBare = ONLY !== null && isFramed; // what surrounds it is the portal's
  if (parent?.isAllowed) parent.tellHeight();
  const as = settings.demo && !parent ? DEMO_PEOPLE[new URLSearchParams(location.search).get("as")] : null;
  const source = tokenSource(settings, as, parent);
  const token = (await source()) ?? (await entered(place, settings, parent));
  const who = claims(token);
  const offered = Object.entries(VIEWS).filter(([, view]) => view.roles.includes(who.role)).map(([name]) => name);
  const navigation = bar(ONLY ? [] : offered);
  fill(document.body, !isBare && [h("a", { class: "skip", href: "#content", onClick: (event) => jump(event, place) }, t("skip")), navigation], place);
  // The portal may have somebody else signed in by then: their token is not for what this one sees and writes.
  const renew = async () => {
    const fresh = await source();
    return fresh && isSamePerson(claims(fresh), who) ? fresh : null;
  };
  const context = { api: new Api({ token, renew }), who, settings, go };
  const showAsked = () => show(place, navigation, offered, context, parent);
  addEventListener("hashchange", (event) => mayLeave(place, event) && showAsked());
  await showAsked();
}

/** Says why there is no token. Answers one if the portal hands it over after all; else the page stays with that. */
function entered(place, settings, parent) {
  const why = parent ? (parent.isAllowed ? t("no_session") : t("not_allowed", parent.origin)) : t("no_token");
  fill(place, settings.demo && !parent ? demo() : note("warn", h("p", {}, why), (!parent || parent.isAllowed) && again()));
  return parent?.isAllowed ? parent.heard() : new Promise(() => {});
}

function again() {
  return h("p", {}, h("button", { type: "button", class: "button", onClick: () => location.reload() }, t("again")));
}

/** ["messages", "abc…"] of "#/messages/abc…"; [""] of none. */
function partsOf(hash) {
  return hash.replace(/^#\/?/, "").split("/");
}

/** Goes to a view: "messages", "messages/abc…". */
export function go(where) {
  location.hash = `#/${where}`;
}

/** A view with something unsaved may stay: it cancels `recado.leaving`, whose detail says where to, and asks. */
function mayLeave(place, { oldURL, newURL }) {
  const leaving = new CustomEvent("recado.leaving", { cancelable: true, detail: { hash: new URL(newURL).hash } });
  if (place.firstElementChild?.dispatchEvent(leaving) ?? true) return true;
  history.replaceState(null, "", oldURL);
  return false;
}

async function show(place, navigation, offered, context, parent) {
  const asked = location.hash;
  const [name, ...rest] = partsOf(asked);
  const begun = name || ONLY;
  const view = offered.includes(begun) ? begun : ONLY ? null : offered[0];
  for (const link of navigation.querySelectorAll(".tabs a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!view) {
    fill(place, note("warn", h("p", {}, t(ONLY ? "not_yours" : "nothing"))));
    return;
  }
  document.title = `${t(view)} · recado`;
  const element = VIEWS[view].element;
  if (!customElements.get(element)) {
    fill(place, h("p", { class: "soft", role: "status" }, t("loading")));
    try {
      await import(`./views/${view}.js`);
    } catch {
      if (location.hash !== asked) return;
      fill(place, note("bad", h("p", {}, t("not_loaded"))));
      return;
    }
  }
  if (location.hash !== asked) return; // somebody went on while it was loading
  const shown = document.createElement(element);
  shown.context = { ...context, path: rest.map(decodeURIComponent) };
  fill(place, shown);
  parent?.tell({ type: "recado.shown", view, path: shown.context.path });
}

function bar(offered) {
  return h(
    "header",
    { class: "bar" },
    h("a", { class: "brand", href: location.pathname + location.search }, h("img", { src: "favicon.svg", width: 32, height: 32, alt: "" }), "recado"),
    offered.length > 0 &&
      h("nav", { class: "tabs", "aria-label": t("sections") }, offered.map((name) => h("a", { href: `#/${name}`, "data-view": name }, icon(name), t(name)))),
    h(
      "div",
      { class: "languages", role: "group", "aria-label": t("language") },
      ["es", "en"].map((one) => h("button", { type: "button", lang: one, "aria-pressed": String(one === language), onClick: () => changeLanguage(one) }, one.toUpperCase())),
    ),
  );
}

function demo() {
  const address = (who) => {
    const asked = new URL(location.href);
    asked.searchParams.set("as", who);
    return asked.href;
  };
  return h(
    "section",
    { class: "panel stack" },
    h("h1", {}, t("enter_as")),
    h("p", { class: "soft" }, t("demo")),
    h("div", { class: "row" }, Object.keys(DEMO_PEOPLE).map((who) => h("a", { class: "button", href: address(who) }, t(who)))),
  );
}

function jump(event, place) {
  event.preventDefault();
  place.focus();
}

start();
