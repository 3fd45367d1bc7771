// Poll /health while the page is visible, more slowly while the server does not answer.

import * as api from "./api.js";

const EVERY = 5000; // milliseconds
const SLOWEST = 30000;

/** Call `seen(health, failure)` after every poll; returns a function that polls at once. */
export function watch(seen) {
  let timer = null;
  let failures = 0;
  let looking = null;
  async function look() {
    clearTimeout(timer);
    looking?.abort();
    const mine = (looking = new AbortController());
    const patience = setTimeout(() => mine.abort(), EVERY * 2);
    try {
      const health = await api.health(mine.signal);
      failures = 0;
      await seen(health, null);
    } catch (error) {
      if (looking !== mine) return; // a newer poll is running
      failures++;
      await seen(null, error instanceof api.Failure ? error : new api.Failure(0, { detail: "The server does not answer." }));
    } finally {
      clearTimeout(patience);
    }
    if (looking !== mine) return;
    const wait = Math.min(SLOWEST, EVERY * 2 ** Math.max(0, failures - 1));
    if (!document.hidden) timer = setTimeout(look, wait);
  }
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) look();
  });
  look();
  return look;
}
