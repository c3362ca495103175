// One open session: what was said, until when it lives, and how the page learns of it (docs/sessions.md, "Live").
// Nothing of it is kept anywhere but here, and `drop` forgets it.
import { Api, NoAnswer, Problem, newKey } from "../../lib/api.js";
import { LiveSocket } from "./live_socket.js";

const LINES_A_READ = 100;
const READS_MAX = 20;
const POLL_SECONDS = 2;
const LOOK_SECONDS = 5; // while a text goes out, though a socket should say when it has
const BACKOFF_SECONDS_MAX = 30;
const GONE = ["session_ended", "not_found", "not_authenticated"];

/** Whether an error says that there is no such session (any more). */
export const isGone = (error) => error instanceof Problem && GONE.includes(error.code);

/**
 * Tells of itself by events: "lines" (`detail`: the new ones), "state" (`expiresAt`, `isSending`), "connection" (`isLive`), "ended".
 */
export class Session extends EventTarget {
  #api;
  #socket = null;
  #leaving = new AbortController();
  #timer = null;
  #isReading = false;
  #isAskedAgain = false;
  #failures = 0;
  #pollSeconds = POLL_SECONDS;
  #seq = 0; // the highest that is known of
  #lastLine = 0; // what `after` is: every line up to it is here
  #lines = new Map();

  /** `opened`: the answer to the text that opened it; `clock`: the server's, told of every answer; `livePath`: of sockets here. */
  constructor(opened, clock, livePath = "") {
    super();
    this.id = opened.id;
    this.handsets = opened.handsets;
    this.expiresAt = Date.parse(opened.expires_at);
    this.isSending = true;
    this.isOver = false;
    this.#api = new Api({ token: opened.token, heard: (answer) => this.#heard(answer, clock) });
    document.addEventListener("visibilitychange", this.#looked);
    if (opened.live_url) {
      const address = livePath ? new URL(livePath, location.href.replace(/^http/, "ws")) : new URL(opened.live_url);
      address.search = new URLSearchParams({ session: opened.id, token: opened.token });
      this.#socket = new LiveSocket(address, {
        hear: (frame) => this.#hear(frame),
        changed: () => {
          this.#tell("connection");
          this.read(); // what was said while nobody told
        },
      });
    }
    this.read();
  }

  /** How often the page asks where it is not told. */
  get pollSeconds() {
    return this.#pollSeconds;
  }

  /** Whether the last read failed. */
  get isFailing() {
    return this.#failures > 0;
  }

  get isLive() {
    return this.#socket?.isLive ?? false;
  }

  /** In the order in which they were said: by the carrier's time, then as they came. */
  get lines() {
    return [...this.#lines.values()].sort(isBefore);
  }

  /** The next text. Answers as the API does: with another id it opened another session, for this one had ended. */
  say(body, key) {
    return this.#api.send("POST", `/sessions/${this.id}/messages`, body, { key, signal: this.#leaving.signal });
  }

  /** It was said: it goes out now. */
  said(answer) {
    this.isSending = true;
    this.#keepUntil(answer.expires_at);
    this.#tell("state");
    this.read();
  }

  /** Five more minutes. */
  async extend() {
    const answer = await this.#api.send("POST", `/sessions/${this.id}/extend`, undefined, { key: newKey(), signal: this.#leaving.signal });
    this.#keepUntil(answer.expires_at);
    this.#tell("state");
  }

  /** Ends it for everybody, and forgets it here whatever comes of that. Answers when the service has said that it is done. */
  end() {
    const [api, id] = [this.#api, this.id];
    this.drop();
    return api.send("DELETE", `/sessions/${id}`, undefined, { outlives: true });
  }

  /** Whether it lives by the server's word; no answer within the seconds is none. */
  async isAlive(seconds) {
    try {
      const signal = AbortSignal.any([this.#leaving.signal, AbortSignal.timeout(seconds * 1000)]);
      this.#take(await this.#api.get(`/sessions/${this.id}/messages`, { after: this.#lastLine }, { signal }));
      return true;
    } catch {
      return false; // whatever it was: what cannot be shown to live is not shown
    }
  }

  /** Forgets everything. Nothing is told after that. */
  drop() {
    this.isOver = true;
    this.#leaving.abort();
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#looked);
    this.#socket?.close();
    this.#socket = null;
    this.#lines.clear();
    this.handsets = [];
    this.#api = null;
  }

  /** Reads what is not here yet; one read at a time. */
  async read() {
    clearTimeout(this.#timer);
    if (this.isOver) return;
    if (this.#isReading) {
      this.#isAskedAgain = true;
      return;
    }
    this.#isReading = true;
    let wait = null;
    try {
      for (let reads = 0; reads < READS_MAX; reads += 1) {
        this.#isAskedAgain = false;
        const answer = await this.#api.get(`/sessions/${this.id}/messages`, { after: this.#lastLine }, { signal: this.#leaving.signal });
        this.#take(answer);
        if (answer.messages.length < LINES_A_READ && !this.#isAskedAgain) break;
      }
      if (this.#failures > 0) {
        this.#failures = 0;
        this.#tell("connection");
      }
    } catch (error) {
      if (this.isOver) return;
      if (!(error instanceof NoAnswer || error instanceof Problem)) throw error;
      if (isGone(error)) {
        this.#end();
        return;
      }
      this.#failures += 1;
      wait = error.retryAfterSeconds ?? Math.min(2 ** this.#failures, BACKOFF_SECONDS_MAX);
      this.#tell("connection");
    } finally {
      this.#isReading = false;
    }
    this.#readIn(wait);
  }

  #readIn(seconds) {
    clearTimeout(this.#timer);
    if (this.isOver || document.hidden) return; // who looks again reads again
    const next = seconds ?? (this.isLive ? (this.isSending ? LOOK_SECONDS : null) : this.#pollSeconds);
    if (next !== null) this.#timer = setTimeout(() => this.read(), next * 1000);
  }

  #heard(answer, clock) {
    clock.hear(answer);
    const seconds = Number(answer.headers.get("Retry-After"));
    if (answer.ok && seconds > 0) this.#pollSeconds = seconds;
  }

  #take(answer) {
    if (this.isOver) return;
    this.isSending = answer.is_sending;
    this.#lastLine = Math.max(this.#lastLine, answer.next_after);
    this.#seq = Math.max(this.#seq, answer.next_after);
    this.#keepUntil(answer.expires_at);
    this.#show(answer.messages);
    this.#tell("state");
  }

  #hear(frame) {
    if (this.isOver) return;
    if (frame.type === "ended") this.#end();
    else if (["message", "extended", "sent", "pong"].includes(frame.type)) this.#follow(frame);
  }

  /** A frame counts up by one if something happened, else it says where things stand. Further ahead: something was missed. */
  #follow(frame) {
    const expected = this.#seq + (["message", "extended"].includes(frame.type) ? 1 : 0);
    if (frame.seq < this.#seq) return; // old news
    this.#seq = frame.seq;
    this.isSending = frame.is_sending;
    this.#keepUntil(frame.expires_at);
    if (frame.seq > expected) this.read();
    else if (frame.seq === expected && frame.type === "message") {
      this.#lastLine = frame.seq;
      this.#show([frame.message]);
    }
    if (this.isSending && !this.#isReading) this.#readIn(null); // frames and answers cross: what is kept true is asked again
    this.#tell("state");
  }

  #show(lines) {
    const fresh = lines.filter((line) => !this.#lines.has(line.seq));
    for (const line of fresh) this.#lines.set(line.seq, line);
    if (fresh.length > 0) this.#tell("lines", fresh);
  }

  #keepUntil(expiresAt) {
    this.expiresAt = Math.max(this.expiresAt, Date.parse(expiresAt)); // answers may cross on their way; it is only ever put off
  }

  #end() {
    this.drop();
    this.#tell("ended");
  }

  #tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #looked = () => {
    if (document.hidden) return;
    this.#socket?.wake();
    this.read();
  };
}

/** How two lines are sorted. */
export function isBefore(one, other) {
  return Date.parse(one.at) - Date.parse(other.at) || one.seq - other.seq;
}
