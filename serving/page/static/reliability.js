// How reliable a model's probabilities of class M or X were: a sentence and a small diagram.

import { el, svg } from "./dom.js";
import { percent } from "./goes.js";

const EDGE = 168;
const MARGIN = { left: 38, right: 8, top: 8, bottom: 32 };

/** The part of the page, or null where the model has no stored reliability; `bins` as GET /model has them. */
export function reliability(chance, bins, scoredOn) {
  if (!bins || bins.length === 0) return null;
  const nearest = bins.reduce((best, one) => (distance(one, chance) < distance(best, chance) ? one : best));
  const on = scoredOn ? ` on the ${scoredOn.replace(/^the /, "")}` : "";
  const text = `When it said about ${percent(nearest.forecast)}, such a flare followed in ${percent(nearest.observed)} of ${nearest.n} cases${on} (95\u202f% interval ${percent(nearest.low)} to ${percent(nearest.high)}).`;
  return el(
    "div",
    { class: "reliability" },
    diagram(bins, nearest),
    el("div", {}, el("h3", { text: "How reliable is such a probability?" }), el("p", { class: "reliable-words", text }), el("p", { class: "small", text: "In the diagram a reliable model has its dots on the line; bars are intervals." })),
  );
}

/** Small probabilities differ by factors, large ones by points: between the two, the root. */
const distance = (one, chance) => Math.abs(Math.sqrt(one.forecast) - Math.sqrt(chance));

function diagram(bins, nearest) {
  const most = niceEnd(Math.max(...bins.map(({ forecast, high }) => Math.max(forecast, high))));
  const x = (share) => MARGIN.left + (share / most) * (EDGE - MARGIN.left - MARGIN.right);
  const y = (share) => EDGE - MARGIN.bottom - (share / most) * (EDGE - MARGIN.top - MARGIN.bottom);
  const marks = bins.map((one) =>
    svg(
      "g",
      { class: one === nearest ? "bin here" : "bin" },
      svg("title", {}, `said ${percent(one.forecast)}, happened in ${percent(one.observed)} of ${one.n}`),
      svg("line", { x1: x(one.forecast), x2: x(one.forecast), y1: y(one.low), y2: y(one.high) }),
      svg("circle", { cx: x(one.forecast), cy: y(one.observed), r: one === nearest ? 5 : 3.5 }),
    ),
  );
  const label = (text, at, anchor = "middle") => svg("text", { x: at[0], y: at[1], "text-anchor": anchor }, text);
  const words = bins.map((one) => `said ${percent(one.forecast)}, happened in ${percent(one.observed)}`).join("; ");
  return svg(
    "svg",
    { class: "reliability-picture", viewBox: `0 0 ${EDGE} ${EDGE}`, width: EDGE, height: EDGE, role: "img", "aria-label": `Reliability of class M or X: ${words}.` },
    svg("rect", { x: MARGIN.left, y: MARGIN.top, width: EDGE - MARGIN.left - MARGIN.right, height: EDGE - MARGIN.top - MARGIN.bottom }),
    svg("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(most), y2: y(most) }),
    ...marks,
    label("0", [x(0), EDGE - MARGIN.bottom + 13]),
    label(percent(most), [x(most), EDGE - MARGIN.bottom + 13], "end"),
    label(percent(most), [MARGIN.left - 4, y(most) + 9], "end"),
    label("said", [(x(0) + x(most)) / 2, EDGE - 5]),
    label("was", [MARGIN.left - 4, (y(0) + y(most)) / 2], "end"),
  );
}

/** The smallest of 0.05, 0.1, 0.2, 0.5 and 1 that holds a share. */
const niceEnd = (share) => [0.05, 0.1, 0.2, 0.5].find((end) => share <= end) ?? 1;
