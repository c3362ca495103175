// What time it is at the server, for a session ends by that clock (C7). The clock of this machine may be wrong by years.

const HALF_A_SECOND = 500; // a Date header has whole seconds, cut off: on average it is that much later

export class ServerClock {
  #aheadMs = 0;

  /** Told of every answer. One that a cache kept says how long ago in its Age. */
  hear(answer) {
    const said = Date.parse(answer.headers.get("Date"));
    if (Number.isNaN(said)) return;
    const age = Number(answer.headers.get("Age") ?? 0) * 1000;
    this.#aheadMs = said + age + HALF_A_SECOND - Date.now();
  }

  /** Milliseconds since 1970, there. */
  now() {
    return Date.now() + this.#aheadMs;
  }
}
