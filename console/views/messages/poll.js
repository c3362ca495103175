// Asks again while somebody looks: never while the page is hidden, ever more rarely while it fails, and no more once it is let go of.
import { NoAnswer, Problem } from "../../lib/api.js";

const SECONDS = 3;
const SECONDS_MAX = 60;

/** `ask` answers whether it wants to be asked again. Returns what stops it. */
export function poll(ask) {
  let timer = null;
  let failures = 0;
  let isOver = false;
  const later = (seconds) => {
    clearTimeout(timer);
    if (!isOver && document.visibilityState === "visible") timer = setTimeout(once, seconds * 1000);
  };
  const once = async () => {
    try {
      const goOn = await ask();
      failures = 0;
      if (goOn) later(SECONDS);
    } catch (error) {
      if (!(error instanceof NoAnswer || error instanceof Problem)) throw error;
      failures += 1;
      later(Math.min(SECONDS_MAX, error.retryAfterSeconds ?? SECONDS * 2 ** failures));
    }
  };
  const looked = () => (document.visibilityState === "visible" ? once() : clearTimeout(timer));
  document.addEventListener("visibilitychange", looked);
  later(SECONDS);
  return () => {
    isOver = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", looked);
  };
}
