// Poll /health while the page is visible, more slowly while the server does not answer.

import * as api from "./api.js";

const EVERY = 5000; // milliseconds
const SLOWEST = 30000;

/** Call `onHealth(health, failure)` after every poll; returns a function that polls at once. */
export function watch(onHealth) {
  let timer = null;
  let failures = 0;
  let polling = null;
  async function poll() {
    clearTimeout(timer);
    polling?.abort();
    const controller = (polling = new AbortController());
    const timeout = setTimeout(() => controller.abort(), EVERY * 2);
    try {
      const health = await api.health(controller.signal);
      failures = 0;
      await onHealth(health, null);
    } catch (error) {
      if (polling !== controller) return; // a newer poll is running
      failures++;
      await onHealth(null, error instanceof api.Failure ? error : new api.Failure(0, { detail: "The server does not answer." }));
    } finally {
      clearTimeout(timeout);
    }
    if (polling !== controller) return;
    const wait = Math.min(SLOWEST, EVERY * 2 ** Math.max(0, failures - 1));
    if (!document.hidden) timer = setTimeout(poll, wait);
  }
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) poll();
  });
  poll();
  return poll;
}
