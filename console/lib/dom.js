// Builds what a page shows. Text is only ever set as text: nothing here reads markup.

/**
 * An element. `attributes`: `class`, `onClick` and the like (functions), `style` (an object), booleans (present or absent), the rest as text; null and
 * undefined are left out. Children: nodes, texts, numbers, arrays of them; null, undefined and false are left out.
 */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  set(element, attributes);
  element.append(...nodes(children));
  return element;
}

/** An element of SVG, made the same way. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  set(element, attributes);
  element.append(...nodes(children));
  return element;
}

/** Sets attributes and listeners as `h` does. */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "style") Object.assign(element.style, value); // an attribute would be against the content security policy
    else if (typeof value === "function") element.addEventListener(name.slice(2).toLowerCase(), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value === false || value === null || value === undefined) element.removeAttribute(name);
    else if (name === "value" && "value" in element) element.value = value;
    else element.setAttribute(name, String(value));
  }
}

/** Shows these children and nothing else. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
}

const ICONS = {
  // Paths of a 24 × 24 grid, drawn with a line; they stand beside words, never instead of them.
  write: "M4 20h4L19 9l-4-4L4 16v4zM13.5 6.500l4 4",
  messages: "M4 5h16v11H9l-5 4V5z",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c0-3.6 2.9-6 6.5-6s6.5 2.4 6.5 6M16 4.500a3.5 3.5 0 0 1 0 6.500M18 14.500c2.2.7 3.5 2.7 3.5 5.5",
  credits: "M12 4c4.4 0 8 1.3 8 3s-3.6 3-8 3-8-1.3-8-3 3.6-3 8-3zM4 7v10c0 1.7 3.6 3 8 3s8-1.3 8-3V7M4 12c0 1.7 3.6 3 8 3s8-1.3 8-3",
  inbox: "M4 13l3-8h10l3 8v6H4v-6zm0 0h5l1 3h4l1-3h5",
  replies: "M9 8l-5 4 5 4M4 12h9c4 0 7 2 7 6",
  blocked: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM5.7 5.700l12.6 12.6",
  warning: "M12 4l9 16H3L12 4zM12 10v5M12 17.500v.5",
  done: "M5 13l4 4L19 7",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3 2",
  close: "M6 6l12 12M18 6L6 18",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
  send: "M4 12l16-8-6 16-3-6-7-2z",
  upload: "M12 15V4M7 9l5-5 5 5M5 20h14",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  print: "M7 9V4h10v5M7 17H4v-7h16v7h-3M7 14h10v6H7v-6z",
  phone: "M8 3h8a1.5 1.5 0 0 1 1.5 1.500v15A1.5 1.5 0 0 1 16 21H8a1.5 1.5 0 0 1-1.5-1.500v-15A1.5 1.5 0 0 1 8 3zM11 18h2",
  stop: "M7 7h10v10H7z",
  plus: "M12 5v14M5 12h14",
};

/** An icon, hidden from whoever hears the page. */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}

function nodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}
