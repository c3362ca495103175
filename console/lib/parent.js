// The page that embeds this one, if it is one that may: it is asked for the token, and told how high this page is and what it shows. Nobody
// else is asked or told anything, and what others say is not heard.

const WAIT_SECONDS = 10;
const ASK_AGAIN_SECONDS = [1, 3, 6]; // a parent may begin to listen later than this page begins to ask
const EDGE_PIXELS = 12; // that a dialog keeps from the edge of what is seen

/** Who embeds this page, or null where it is not embedded. `allowed`: the origins that may. */
export function parentOf(allowed) {
  return window.parent === window ? null : new Parent(allowed);
}

class Parent {
  #origins;

  constructor(allowed) {
    const known = location.ancestorOrigins?.[0] ?? "null"; // not every browser says it, and a page may hide it
    this.origin = known === "null" ? null : known;
    this.#origins = this.origin ? allowed.filter((origin) => origin === known) : [...allowed];
  }

  /** Whether it may be one of those that may. */
  get isAllowed() {
    return this.#origins.length > 0;
  }

  /** Says something to it. Each origin by its name: the browser delivers to a page of that origin only. */
  tell(message) {
    for (const origin of this.#origins) window.parent.postMessage(message, origin);
  }

  /** A token, or null if none comes within 10 s. */
  async token() {
    if (!this.isAllowed) return null;
    const ending = new AbortController();
    const ask = () => this.tell({ type: "recado.token_wanted" });
    const timers = ASK_AGAIN_SECONDS.map((seconds) => setTimeout(ask, seconds * 1000));
    const none = new Promise((resolve) => timers.push(setTimeout(resolve, WAIT_SECONDS * 1000, null)));
    const answer = this.heard(ending.signal);
    ask();
    const token = await Promise.race([answer, none]);
    timers.forEach(clearTimeout);
    ending.abort();
    return token;
  }

  /** The next token that it says, whenever that is. */
  heard(signal) {
    return new Promise((resolve) => {
      const hear = (event) => {
        if (event.source !== window.parent || !this.#origins.includes(event.origin)) return;
        if (event.data?.type === "recado.token" && typeof event.data.token === "string") resolve(event.data.token);
      };
      addEventListener("message", hear, { signal });
    });
  }

  /** From now on it is told how high the page is, so that its frame need not scroll; dialogs open where they are seen. */
  tellHeight() {
    document.documentElement.classList.add("embedded");
    let told = 0;
    const tell = () => {
      const dialogs = [...document.querySelectorAll("dialog[open]")].map((one) => one.scrollHeight + 2 * EDGE_PIXELS);
      const height = Math.ceil(Math.max(document.body.getBoundingClientRect().height, ...dialogs));
      if (height !== told) this.tell({ type: "recado.height", height });
      told = height;
    };
    new ResizeObserver(tell).observe(document.body);
    const opened = (changes) => {
      changes.filter(({ target }) => target.matches("dialog[open]")).forEach(({ target }) => placeWhereSeen(target));
      tell();
    };
    new MutationObserver(opened).observe(document.body, { subtree: true, attributeFilter: ["open"] });
  }
}

/** In a frame as high as its page, the middle of the frame may be far from what is seen of it. */
function placeWhereSeen(dialog) {
  const look = new IntersectionObserver(([seen]) => {
    look.disconnect();
    const { top, height } = seen.intersectionRect; // what the whole window shows of it, through every frame
    if (height === 0) return;
    dialog.style.maxHeight = `${height - 2 * EDGE_PIXELS}px`;
    dialog.style.marginTop = `${top + Math.max(EDGE_PIXELS, (height - dialog.offsetHeight) / 2)}px`;
  });
  look.observe(document.querySelector("main"));
}
