// What other versions said of the same sample, as far as the history knows.

import { el } from "./dom.js";

/** A button for each other version; `choose` gets its forecast, or null for the one that is shown already. */
export function versionButtons(answer, forecasts, shown, choose) {
  const same = (one) => answer?.input_digest && one.input_digest === answer.input_digest && one.model_version !== answer.model_version;
  const newest = new Map(forecasts.filter(same).map((one) => [one.model_version, one]).reverse());
  return [...newest.values()].map((one) => {
    const on = shown?.model_version === one.model_version;
    return el("button", { type: "button", "aria-pressed": String(on), text: `Compare with version ${one.model_version}`, on: { click: () => choose(on ? null : one) } });
  });
}
