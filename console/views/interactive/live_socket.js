// The socket on which a session's page is told of replies at once. It comes back by itself; until then the page reads.

const PING_EACH_MS = 45_000; // API Gateway closes a socket after ten minutes without a frame
const PONG_WITHIN_MS = 10_000;
const BACKOFF_MS = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000];

export class LiveSocket {
  #address;
  #hear;
  #changed;
  #socket = null;
  #timers = new Map();
  #failures = 0;
  #isWanted = true;
  /** Whether frames come: a ping was answered, and nothing says otherwise since. */
  isLive = false;

  /** `address`: with the token in its query; `hear(frame)`; `changed()`: isLive is another now. */
  constructor(address, { hear, changed }) {
    this.#address = address;
    this.#hear = hear;
    this.#changed = changed;
    this.#connect();
  }

  /** Tries at once, where it would have waited: the page is looked at again. */
  wake() {
    if (this.#isWanted && this.#socket === null) this.#connect();
  }

  close() {
    this.#isWanted = false;
    this.#address = null;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #connect() {
    this.#stop("again");
    let socket;
    try {
      socket = new WebSocket(this.#address);
    } catch {
      this.#lost(); // an address this page may not ask, e.g. ws: from https:
      return;
    }
    this.#socket = socket;
    socket.addEventListener("open", () => this.#ping());
    socket.addEventListener("message", (event) => this.#take(socket, event.data));
    socket.addEventListener("close", () => {
      if (this.#socket === socket) this.#lost();
    });
  }

  #take(socket, data) {
    if (this.#socket !== socket) return; // on its way when it was closed
    const frame = JSON.parse(data);
    if (frame.type === "pong") {
      this.#stop("pong");
      this.#failures = 0;
      this.#set(true);
    }
    if (frame.type === "replaced") {
      this.#stop("pong");
      this.#set(false); // a later ping finds out whether there is room again
    }
    this.#hear(frame);
  }

  #ping() {
    this.#socket.send('{"type": "ping"}');
    this.#start("pong", PONG_WITHIN_MS, () => {
      const silent = this.#socket;
      this.#lost();
      silent.close();
    });
    this.#start("ping", PING_EACH_MS, () => this.#ping());
  }

  #lost() {
    this.#socket = null;
    this.#stop("pong");
    this.#stop("ping");
    this.#set(false);
    const wait = BACKOFF_MS[Math.min(this.#failures, BACKOFF_MS.length - 1)];
    this.#failures += 1;
    this.#start("again", wait * (0.75 + Math.random() / 2), () => {
      if (!document.hidden) this.#connect(); // else `wake`
    });
  }

  #set(isLive) {
    if (isLive === this.isLive) return;
    this.isLive = isLive;
    this.#changed();
  }

  #start(name, milliseconds, act) {
    this.#stop(name);
    if (this.#isWanted) this.#timers.set(name, setTimeout(act, milliseconds));
  }

  #stop(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}
