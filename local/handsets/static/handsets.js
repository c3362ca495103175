// The handsets' page: shows what arrives, lets you answer as that person. Texts are only ever set as text.
"use strict";

const WORDS = {
  es: {
    pageTitle: "Teléfonos simulados · recado",
    skip: "Ir a los mensajes",
    title: "Teléfonos simulados",
    lead: "Lo que recado envía llega aquí. Responde como si fueras esa persona.",
    handsets: "Teléfonos",
    search: "Buscar por nombre o número",
    searchShort: "Nombre o número",
    onlyUnread: "Solo sin leer",
    back: "Teléfonos",
    to: "Al código",
    answer: "Respuesta",
    send: "Responder",
    faults: "Fallas",
    faultsTitle: "Fallas del operador simulado",
    faultsLead: "Para ver qué hace recado cuando la red se porta mal. Rigen desde el próximo envío.",
    close: "Cerrar",
    noFaults: "Sin fallas",
    apply: "Aplicar",
    live: "En vivo",
    connecting: "Conectando…",
    lost: "Sin conexión; reintentando…",
    emptyTitle: "Todavía no llega ningún SMS",
    emptyText: "Envía un mensaje con la API (la pantalla de make run muestra cómo) y aparecerá aquí al instante.",
    chooseTitle: "Elige un teléfono",
    chooseText: "Verás sus mensajes como en la pantalla del teléfono y podrás responder como esa persona.",
    nobody: "Ningún teléfono coincide.",
    writeFrom: (number) => `Escribir desde ${number}`,
    unread: (count) => (count === 1 ? "1 sin leer" : `${count} sin leer`),
    parts: (count) => (count === 1 ? "1 parte" : `${count} partes`),
    asked: (count) => `pedido ${count} veces`,
    from: (code) => `de ${code}`,
    toCode: (code) => `a ${code}`,
    you: "Tú",
    replyAs: (who) => `Responder como ${who}`,
    today: "Hoy",
    yesterday: "Ayer",
    sending: "Enviando…",
    taken: "recado recibió la respuesta.",
    refused: (status) => `recado no la aceptó (HTTP ${status}).`,
    notReached: "No se pudo llegar a recado.",
    pageFailed: "El operador simulado no contesta.",
    codeMissing: "Escribe el código al que respondes, por ejemplo 20600.",
    textMissing: "Escribe una respuesta.",
    applied: "Fallas aplicadas.",
    cleared: "Sin fallas.",
    active: (count) => (count === 1 ? "1 falla activa" : `${count} fallas activas`),
    badField: (label, most) => `${label}: un número de 0 a ${most}.`,
    seconds: "s",
    fields: {
      slow_seconds: ["Lento", "Espera antes de mirar cada envío."],
      fail_share: ["Falla sin tomar", "Responde 500 y no toma nada."],
      lose_answers_share: ["Pierde la respuesta", "Toma todo y muestra los textos, pero su respuesta no llega."],
      refuse_share: ["Rechaza textos", "Número equivocado o bloqueado."],
      not_now_share: ["Ahora no", "Pide que se intente más tarde."],
      unreachable_share: ["Teléfono apagado", "Lo toma, y el acuse dice que no llegó."],
      receipts_delay_seconds: ["Acuses tardíos", "Cuánto tardan los acuses de recibo."],
      receipts_twice: ["Acuses dobles", "Cada acuse llega dos veces."],
      no_receipts: ["Sin acuses", "Nunca dice si llegó."],
    },
  },
  en: {
    pageTitle: "Simulated handsets · recado",
    skip: "Skip to the texts",
    title: "Simulated handsets",
    lead: "What recado sends arrives here. Answer as if you were that person.",
    handsets: "Handsets",
    search: "Search by name or number",
    searchShort: "Name or number",
    onlyUnread: "Unread only",
    back: "Handsets",
    to: "To code",
    answer: "Answer",
    send: "Answer",
    faults: "Faults",
    faultsTitle: "Faults of the simulated carrier",
    faultsLead: "To see what recado does when the network misbehaves. In force from the next wave on.",
    close: "Close",
    noFaults: "No faults",
    apply: "Apply",
    live: "Live",
    connecting: "Connecting…",
    lost: "Connection lost; trying again…",
    emptyTitle: "No text has arrived yet",
    emptyText: "Send a message through the API (the screen of make run shows how) and it appears here at once.",
    chooseTitle: "Choose a handset",
    chooseText: "You will see its texts as on the phone's screen, and can answer as that person.",
    nobody: "No handset matches.",
    writeFrom: (number) => `Write from ${number}`,
    unread: (count) => `${count} unread`,
    parts: (count) => (count === 1 ? "1 part" : `${count} parts`),
    asked: (count) => `asked for ${count} times`,
    from: (code) => `from ${code}`,
    toCode: (code) => `to ${code}`,
    you: "You",
    replyAs: (who) => `Answer as ${who}`,
    today: "Today",
    yesterday: "Yesterday",
    sending: "Sending…",
    taken: "recado has taken the answer.",
    refused: (status) => `recado did not accept it (HTTP ${status}).`,
    notReached: "recado could not be reached.",
    pageFailed: "The simulated carrier does not answer.",
    codeMissing: "Write the code you answer to, for example 20600.",
    textMissing: "Write an answer.",
    applied: "Faults applied.",
    cleared: "No faults.",
    active: (count) => (count === 1 ? "1 fault on" : `${count} faults on`),
    badField: (label, most) => `${label}: a number from 0 to ${most}.`,
    seconds: "s",
    fields: {
      slow_seconds: ["Slow", "Waits before it looks at each wave."],
      fail_share: ["Fails, taking nothing", "Answers 500 and takes nothing."],
      lose_answers_share: ["Loses its answer", "Takes all and shows the texts, but its answer never arrives."],
      refuse_share: ["Refuses texts", "As a wrong number, or blocked."],
      not_now_share: ["Not now", "Asks to try again later."],
      unreachable_share: ["Handset is off", "Takes it, and the receipt says it was not reached."],
      receipts_delay_seconds: ["Late receipts", "How long receipts take."],
      receipts_twice: ["Double receipts", "Every receipt comes twice."],
      no_receipts: ["No receipts", "Never says whether it arrived."],
    },
  },
};
const FAULTS = [
  { name: "slow_seconds", unit: "seconds", most: 60 },
  { name: "fail_share", unit: "percent", most: 100 },
  { name: "lose_answers_share", unit: "percent", most: 100 },
  { name: "refuse_share", unit: "percent", most: 100 },
  { name: "not_now_share", unit: "percent", most: 100 },
  { name: "unreachable_share", unit: "percent", most: 100 },
  { name: "receipts_delay_seconds", unit: "seconds", most: 259200 },
  { name: "receipts_twice", unit: "check" },
  { name: "no_receipts", unit: "check" },
];
const NUMBER = /^\+[1-9][0-9]{7,14}$/;
const CODE = /^[0-9A-Za-z+]{1,15}$/;

const at = (id) => document.getElementById(id);
const state = {
  language: "es",
  people: new Map(), // number -> {number, name, unread, total, last}
  items: new Map(), // number -> its <li>
  chosen: null,
  texts: [],
  faults: {},
  drafts: new Map(), // number -> {code, text}
};
let words = WORDS.es;

// --- words ---

function remembered(key) {
  try { return localStorage.getItem(key); } catch { return null; } // storage may be closed to us
}

function remember(key, value) {
  try { localStorage.setItem(key, value); } catch { /* then it is not remembered */ }
}

function speak(language) {
  state.language = language;
  words = WORDS[language];
  document.documentElement.lang = language;
  document.title = words.pageTitle;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = words[node.dataset.t];
  for (const node of document.querySelectorAll("[data-t-placeholder]")) node.placeholder = words[node.dataset.tPlaceholder];
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
  at("reply-said").textContent = "";
  at("faults-said").textContent = "";
  drawFaultFields();
  showFaults();
  showLive(liveState);
  showPeople();
  showThread();
}

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const sayNumber = (number) =>
  number.replace(/^\+56(9)(\d{4})(\d{4})$/, "+56 $1 $2 $3").replace(/^\+1(\d{3})(\d{3})(\d{4})$/, "+1 $1 $2 $3");
const sayWho = (person) => person.name || sayNumber(person.number);
const sayClock = (iso) => new Date(iso).toLocaleTimeString(state.language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

function sayDay(iso) {
  const day = new Date(iso);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(day).setHours(0, 0, 0, 0)) / 86400000);
  if (days === 0) return words.today;
  if (days === 1) return words.yesterday;
  return day.toLocaleDateString(state.language, { day: "numeric", month: "long", year: "numeric" });
}

function sayWhen(iso) {
  const isToday = new Date(iso).toDateString() === new Date().toDateString();
  return isToday ? sayClock(iso) : new Date(iso).toLocaleDateString(state.language, { day: "numeric", month: "short" });
}

function initials(person) {
  if (!person.name) return person.number.slice(-2);
  const letters = person.name.split(/\s+/).filter((word) => /^\p{Lu}/u.test(word)).map((word) => word[0]);
  return letters.slice(0, 2).join("");
}

// --- the list ---

let isPeopleStale = false;
function peopleChanged() { // a wave of hundreds is drawn once a frame
  if (isPeopleStale) return;
  isPeopleStale = true;
  requestAnimationFrame(() => { isPeopleStale = false; showPeople(); });
}

function matches(person, wanted) {
  if (!wanted) return true;
  const digits = wanted.replace(/[\s+()-]/g, "");
  if (/^\d+$/.test(digits) && person.number.includes(digits)) return true;
  return person.name !== null && plain(person.name).includes(plain(wanted));
}

function showPeople() {
  const wanted = at("search").value.trim();
  const onlyUnread = at("only-unread").checked;
  const shown = [...state.people.values()]
    .filter((person) => matches(person, wanted) && (!onlyUnread || person.unread > 0 || person.number === state.chosen))
    .sort((one, other) => (one.last.at < other.last.at ? 1 : one.last.at > other.last.at ? -1 : 0));
  const list = at("people");
  const focused = document.activeElement;
  const nodes = shown.map(drawPerson);
  const isSame = nodes.length === list.children.length && nodes.every((node, index) => list.children[index] === node);
  if (!isSame) {
    list.replaceChildren(...nodes);
    if (list.contains(focused)) focused.focus({ preventScroll: true }); // moving a node takes its focus away
  }
  at("people-count").textContent = state.people.size ? `(${state.people.size})` : "";
  showNobody(shown, wanted);
  showWelcome();
}

function drawPerson(person) {
  let item = state.items.get(person.number);
  if (!item) {
    item = make("li");
    const button = make("button", "person");
    button.type = "button";
    button.dataset.number = person.number;
    button.append(
      make("span", "avatar"), make("span", "name"), make("span", "when"), make("span", "snippet"), make("span", "badge"),
    );
    button.firstChild.setAttribute("aria-hidden", "true");
    item.append(button);
    state.items.set(person.number, item);
  }
  const button = item.firstChild;
  const [avatar, name, when, snippet, badge] = button.children;
  const isChosen = person.number === state.chosen;
  button.classList.toggle("unread", person.unread > 0);
  if (isChosen) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
  avatar.textContent = initials(person);
  name.textContent = sayWho(person);
  when.textContent = sayWhen(person.last.at);
  snippet.textContent = (person.last.direction === "sent" ? `${words.you}: ` : "") + person.last.text;
  badge.hidden = person.unread === 0;
  badge.replaceChildren();
  if (person.unread) {
    const spoken = make("span", "sr", words.unread(person.unread));
    const seen = make("span", "", String(person.unread));
    seen.setAttribute("aria-hidden", "true");
    badge.append(seen, spoken);
  }
  return item;
}

function showNobody(shown, wanted) {
  const none = at("people-none");
  none.hidden = shown.length > 0;
  at("people").hidden = shown.length === 0;
  if (none.hidden) return;
  none.replaceChildren(make("span", "", state.people.size ? words.nobody : words.emptyTitle));
  const number = wanted.replace(/[\s()-]/g, "");
  if (NUMBER.test(number)) {
    const button = make("button", "quiet", words.writeFrom(number));
    button.type = "button";
    button.addEventListener("click", () => choose(number));
    none.append(make("br"), button);
  }
}

function showWelcome() {
  at("welcome-title").textContent = state.people.size ? words.chooseTitle : words.emptyTitle;
  at("welcome-text").textContent = state.people.size ? words.chooseText : words.emptyText;
}

// --- one handset ---

async function choose(number, { focus = true } = {}) {
  keepDraft();
  state.chosen = number;
  state.texts = [];
  if (number !== chosenInAddress()) history.pushState(null, "", number ? `#${number}` : location.pathname);
  at("panes").classList.toggle("chosen", number !== null);
  at("welcome").hidden = number !== null;
  at("phone").hidden = number === null;
  at("reply-said").textContent = "";
  peopleChanged();
  if (number === null) return;
  const draft = state.drafts.get(number);
  at("reply-text").value = draft ? draft.text : "";
  at("reply-code").value = draft ? draft.code : "";
  await loadThread(number);
  if (focus && state.chosen === number) at("reply-text").focus({ preventScroll: true });
}

function keepDraft() {
  if (state.chosen === null) return;
  state.drafts.set(state.chosen, { code: at("reply-code").value, text: at("reply-text").value });
}

async function loadThread(number) {
  const inbox = await ask("GET", `handsets/${encodeURIComponent(number)}`);
  if (!inbox || state.chosen !== number) return;
  state.texts = inbox.texts;
  state.thread = { number: inbox.number, name: inbox.name };
  showThread();
  scrollToEnd();
  markRead(number);
}

function showThread() {
  if (state.chosen === null || !state.thread || state.thread.number !== state.chosen) return;
  const person = state.thread;
  at("phone-title").textContent = sayWho(person);
  at("phone-number").textContent = person.name ? sayNumber(person.number) : "";
  at("phone-avatar").textContent = initials(person);
  at("reply-as").textContent = words.replyAs(sayWho(person));
  const nodes = [];
  let day = "";
  for (const text of state.texts) {
    if (sayDay(text.at) !== day) {
      day = sayDay(text.at);
      nodes.push(make("li", "day", day));
    }
    nodes.push(drawText(text));
  }
  at("texts").replaceChildren(...nodes);
  showCodes();
}

function drawText(text) {
  const item = make("li", `text ${text.direction}`);
  const balloon = make("p", "balloon", text.text);
  balloon.dir = "auto";
  const facts = make("p", "facts");
  const said = [text.direction === "sent" ? words.toCode(text.code) : words.from(text.code), sayClock(text.at)];
  if (text.direction === "received") said.push(words.parts(text.parts));
  if (text.times_asked > 1) said.push(words.asked(text.times_asked));
  facts.append(said.join(" · "));
  if (text.direction === "sent") {
    const isTaken = /^HTTP 2/.test(text.answer || "");
    facts.append(" · ", make("span", isTaken ? "" : "refused", isTaken ? "✓" : `✕ ${text.answer}`));
  }
  item.append(balloon, facts);
  return item;
}

function showCodes() {
  const codes = [...new Set(state.texts.map((text) => text.code).reverse())];
  at("codes").replaceChildren(...codes.map((code) => { const option = make("option"); option.value = code; return option; }));
  if (!at("reply-code").value && codes.length) at("reply-code").value = codes[0];
}

function scrollToEnd() {
  const box = at("texts-box");
  box.scrollTop = box.scrollHeight;
}

async function markRead(number) {
  const person = state.people.get(number);
  if (!person || !person.unread || document.hidden) return;
  person.unread = 0;
  peopleChanged();
  await ask("POST", `handsets/${encodeURIComponent(number)}/read`, {});
}

function arrived(event) {
  const before = state.people.get(event.number);
  state.people.set(event.number, {
    number: event.number, name: event.name, unread: event.unread, total: event.total, last: event.text,
  });
  const isNewest = !before || before.last.at <= event.text.at;
  if (!isNewest) state.people.get(event.number).last = before.last;
  peopleChanged();
  if (event.number !== state.chosen || !state.thread || state.thread.number !== event.number) return;
  if (state.texts.some((text) => text.id === event.text.id)) return;
  const [box, texts] = [at("texts-box"), at("texts")];
  const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 80;
  const isNewDay = !state.texts.length || sayDay(state.texts.at(-1).at) !== sayDay(event.text.at);
  state.texts.push(event.text);
  if (isNewDay) texts.append(make("li", "day", sayDay(event.text.at)));
  const item = drawText(event.text);
  item.classList.add("new");
  texts.append(item);
  showCodes();
  if (isAtEnd || event.text.direction === "sent") scrollToEnd();
  markRead(event.number);
}

async function sendReply(event) {
  event.preventDefault();
  const code = at("reply-code").value.trim();
  const text = at("reply-text").value;
  const button = at("reply-send");
  if (button.getAttribute("aria-disabled") === "true") return;
  if (!CODE.test(code)) return refuseReply("reply-code", words.codeMissing);
  if (!text.trim()) return refuseReply("reply-text", words.textMissing);
  const number = state.chosen;
  button.setAttribute("aria-disabled", "true");
  say("reply-said", words.sending);
  const told = await ask("POST", `handsets/${encodeURIComponent(number)}/replies`, { to: code, text });
  button.removeAttribute("aria-disabled");
  if (state.chosen !== number) return;
  if (!told) return say("reply-said", words.pageFailed, "bad");
  at("reply-text").removeAttribute("aria-invalid");
  at("reply-code").removeAttribute("aria-invalid");
  if (told.taken) {
    at("reply-text").value = "";
    at("reply-text").focus();
    return say("reply-said", words.taken, "good");
  }
  say("reply-said", told.status ? words.refused(told.status) : words.notReached, "bad");
}

function refuseReply(field, message) {
  at(field).setAttribute("aria-invalid", "true");
  at(field).focus();
  say("reply-said", message, "bad");
}

function say(id, message, kind = "") {
  at(id).className = `said ${kind}`;
  at(id).textContent = message;
}

// --- faults ---

function drawFaultFields() {
  const drawn = FAULTS.map(({ name, unit, most }) => {
    const [label, hint] = words.fields[name];
    const field = make("div", unit === "check" ? "field check" : "field");
    const input = make("input");
    input.id = `fault-${name}`;
    input.setAttribute("aria-describedby", `hint-${name}`);
    const title = make("label");
    title.htmlFor = input.id;
    const help = make("p", "hint", hint);
    help.id = `hint-${name}`;
    if (unit === "check") {
      input.type = "checkbox";
      title.append(input, label);
      field.append(title, help);
      return field;
    }
    input.type = "number";
    Object.assign(input, { min: "0", max: String(most), step: "any", inputMode: "decimal" });
    title.textContent = label;
    const row = make("div", "with-unit");
    row.append(input, make("span", "", unit === "percent" ? "%" : words.seconds));
    field.append(title, row, help);
    return field;
  });
  at("faults-fields").replaceChildren(...drawn);
}

function showFaults() {
  for (const { name, unit } of FAULTS) {
    const value = state.faults[name];
    const input = at(`fault-${name}`);
    if (unit === "check") input.checked = Boolean(value);
    else input.value = String(unit === "percent" ? Math.round((value || 0) * 10000) / 100 : value || 0);
    input.removeAttribute("aria-invalid");
  }
  const count = FAULTS.filter(({ name }) => state.faults[name]).length;
  const badge = at("faults-count");
  badge.hidden = count === 0;
  const spoken = make("span", "sr", words.active(count));
  const seen = make("span", "", String(count));
  seen.setAttribute("aria-hidden", "true");
  badge.replaceChildren(seen, spoken);
}

async function putFaults(event) {
  event.preventDefault();
  const faults = {};
  for (const { name, unit, most } of FAULTS) {
    const input = at(`fault-${name}`);
    if (unit === "check") { faults[name] = input.checked; continue; }
    const value = input.value === "" ? NaN : Number(input.value);
    if (!(value >= 0 && value <= most)) {
      input.setAttribute("aria-invalid", "true");
      input.focus();
      return say("faults-said", words.badField(words.fields[name][0], most), "bad");
    }
    input.removeAttribute("aria-invalid");
    faults[name] = unit === "percent" ? value / 100 : value;
  }
  const set = await ask("PUT", "faults", faults);
  if (!set) return say("faults-said", words.pageFailed, "bad");
  state.faults = set;
  showFaults();
  at("faults-dialog").close();
}

async function resetFaults() {
  const set = await ask("PUT", "faults", {});
  if (!set) return say("faults-said", words.pageFailed, "bad");
  state.faults = set;
  showFaults();
  say("faults-said", words.cleared, "good");
}

// --- the carrier ---

async function ask(method, path, body) {
  try {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    if (response.status === 204) return {};
    const answer = await response.json();
    return response.ok || "taken" in answer ? answer : null;
  } catch {
    return null; // not reached, or not JSON: the caller says so to the person
  }
}

async function readEverything() {
  const [people, faults] = await Promise.all([ask("GET", "handsets"), ask("GET", "faults")]);
  if (people) {
    state.people = new Map(people.map((person) => [person.number, person]));
    peopleChanged();
  }
  if (faults) {
    state.faults = faults;
    if (!at("faults-dialog").open) showFaults();
  }
  if (state.chosen) await loadThread(state.chosen);
}

let liveState = "connecting";
function showLive(now) {
  liveState = now;
  at("live").className = `live ${{ live: "on", lost: "off" }[now] || ""}`;
  const text = words[now];
  if (at("live-text").textContent !== text) at("live-text").textContent = text;
}

function listen() {
  const events = new EventSource("events"); // it reconnects by itself
  events.addEventListener("open", () => { showLive("live"); readEverything(); }); // what was missed is read anew
  events.addEventListener("error", () => {
    showLive("lost");
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
  events.addEventListener("text", (event) => arrived(JSON.parse(event.data)));
  events.addEventListener("read", (event) => {
    const person = state.people.get(JSON.parse(event.data).number);
    if (person) { person.unread = 0; peopleChanged(); }
  });
  events.addEventListener("faults", (event) => {
    state.faults = JSON.parse(event.data);
    if (!at("faults-dialog").open) showFaults();
  });
}

// --- hands ---

function moveInList(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step && event.key !== "Home" && event.key !== "End") return;
  const buttons = [...at("people").querySelectorAll("button")];
  const here = buttons.indexOf(document.activeElement);
  if (here < 0) return;
  event.preventDefault();
  const there = { Home: 0, End: buttons.length - 1 }[event.key] ?? Math.min(Math.max(here + step, 0), buttons.length - 1);
  buttons[there].focus();
}

function chosenInAddress() {
  const number = decodeURIComponent(location.hash.slice(1));
  return NUMBER.test(number) ? number : null;
}

async function goBack() {
  const number = state.chosen;
  await choose(null);
  const item = state.items.get(number);
  requestAnimationFrame(() => (item && item.isConnected ? item.firstChild : at("search")).focus());
}

function start() {
  const language = remembered("recado-language");
  speak(language === "en" ? "en" : "es");
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => { remember("recado-language", button.dataset.language); speak(button.dataset.language); });
  }
  at("people").addEventListener("click", (event) => {
    const button = event.target.closest("button[data-number]");
    if (button) choose(button.dataset.number);
  });
  at("people").addEventListener("keydown", moveInList);
  at("search").addEventListener("input", showPeople);
  at("only-unread").addEventListener("change", showPeople);
  at("back").addEventListener("click", goBack);
  at("reply").addEventListener("submit", sendReply);
  at("reply-text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); at("reply").requestSubmit(); }
  });
  at("open-faults").addEventListener("click", () => { say("faults-said", ""); showFaults(); at("faults-dialog").showModal(); });
  at("close-faults").addEventListener("click", () => at("faults-dialog").close());
  at("reset-faults").addEventListener("click", resetFaults);
  at("faults-form").addEventListener("submit", putFaults);
  window.addEventListener("popstate", () => choose(chosenInAddress(), { focus: false }));
  document.addEventListener("visibilitychange", () => { if (state.chosen) markRead(state.chosen); });
  if (chosenInAddress()) choose(chosenInAddress(), { focus: false });
  listen();
}

start();
