// One answer of the server: in words, on the GOES scale, and as probabilities.

import { el, legendItem, setStyle } from "./dom.js";
import { BANDS, classOf, fluxText, letterOf, orStronger, percent, percents, placeOf, power, SCALE, UNIT, utc } from "./goes.js";

/** The forecast as sentences. */
export function wordsOf(answer) {
  const [chance, threshold] = percents(answer.mx_probability, answer.alert_threshold);
  const [low, high] = [classOf(answer.flux_low_w_m2), classOf(answer.flux_high_w_m2)];
  return [
    `The forecast peak of the next ${answer.window_hours} hours is ${answer.goes_class}, with a ${percent(answer.interval_level)} interval from ${low} to ${high}.`,
    answer.alert
      ? `The probability of class M or X is ${chance}, at or above the alert threshold of ${threshold}: alert.`
      : `The probability of class M or X is ${chance}, below the alert threshold of ${threshold}: no alert.`,
  ];
}

/** Of which region and window a forecast is, where that is known. */
export function windowOf(answer) {
  const region = answer.active_region ? `AR ${answer.active_region}, ` : "";
  return answer.valid_from ? `${region}${utc(answer.valid_from)} to ${utc(answer.valid_to)}` : `${region}window unknown`;
}

function status(answer) {
  const why = (answer.reasons ?? []).join("; ");
  if (answer.status === "abstain") {
    return [el("p", { class: "synthetic" }, el("strong", { text: "DO NOT USE" }), ` The model abstains: ${why}.`)];
  }
  return answer.status === "degraded" ? [el("p", { class: "small", text: `Degraded: ${why}.` })] : [];
}

/** Fill `place` with an answer; `rates` are the event rates that the model is calibrated for, where known. */
export function showForecast(place, answer, rates = {}) {
  const [peak, chance] = wordsOf(answer);
  place.replaceChildren(
    ...(answer.synthetic ? [synthetic()] : []),
    ...status(answer),
    el(
      "div",
      { class: "headline" },
      el(
        "div",
        { class: "peak" },
        el("p", { class: `class-name class-${letterOf(answer.peak_flux_w_m2)}`, text: answer.goes_class }),
        el("p", { class: "flux" }, `${fluxText(answer.peak_flux_w_m2)} ${UNIT}`),
      ),
      el(
        "div",
        { class: "verdict" },
        el("p", { class: answer.alert ? "pill alert" : "pill", text: answer.alert ? "Alert" : "No alert" }),
        el("p", { class: "words", text: `${peak} ${chance}` }),
        ...(answer.coherent === false ? [contradiction()] : []),
      ),
    ),
    scale(answer),
    probabilities(answer, rates),
  );
}

function contradiction() {
  const text = "This model's flux and probabilities contradict each other; use the probabilities.";
  return el("p", { class: "small", text });
}

function synthetic() {
  return el(
    "p",
    { class: "synthetic" },
    el("strong", { text: "SYNTHETIC" }),
    " This model was trained on synthetic data. Use its forecasts for testing only, not for decisions.",
  );
}

function at(node, share, to = null) {
  setStyle(node, to === null ? { left: `${share * 100}%` } : { left: `${share * 100}%`, width: `${Math.max(0, to - share) * 100}%` });
  return node;
}

function scale(answer) {
  const { low, high } = SCALE;
  const span = high - low;
  const [from, peak, to] = [answer.flux_low_w_m2, answer.peak_flux_w_m2, answer.flux_high_w_m2].map(placeOf);
  const bands = BANDS.map((band) =>
    at(el("span", { class: `band class-${band.letter}`, text: band.letter }), (band.from - low) / span, (band.to - low) / span),
  );
  const ticks = Array.from({ length: span + 1 }, (_, index) => at(el("span", { class: "tick", text: power(low + index) }), index / span));
  const beyond = answer.flux_high_w_m2 > 10 ** high ? " beyond" : "";
  const below = answer.flux_low_w_m2 < 10 ** low ? " below" : "";
  const pin = at(el("span", { class: "pin" }, el("span", { class: "pin-label", text: answer.goes_class })), peak);
  if (peak < 0.06) pin.classList.add("first");
  if (peak > 0.94) pin.classList.add("last");
  const [words] = wordsOf(answer);
  return el(
    "figure",
    { class: "scale" },
    el(
      "div",
      { class: "scale-picture", role: "img", "aria-label": `GOES class scale from A to X. ${words}` },
      el("div", { class: "bands" }, ...bands, at(el("span", { class: `interval${beyond}${below}` }), from, to), pin),
      el("div", { class: "ticks" }, ...ticks),
    ),
    el(
      "figcaption",
      { class: "small" },
      el("span", { class: "swatch" }),
      `${percent(answer.interval_level)} interval ${classOf(answer.flux_low_w_m2)} to ${classOf(answer.flux_high_w_m2)}`,
      el("span", { class: "axis", text: `peak soft X-ray flux, ${UNIT}` }),
    ),
  );
}

function probabilities(answer, rates) {
  const [chance, threshold] = percents(answer.mx_probability, answer.alert_threshold);
  const rows = Object.entries(answer.probabilities).map(([event, share]) => {
    const headline = event === "M1.0";
    const bar = el("div", { class: "bar", "aria-hidden": "true" }, at(el("span", { class: `fill class-${event[0]}` }), 0, share));
    if (event in rates) bar.append(at(el("span", { class: "rate" }), rates[event]));
    if (headline) bar.append(at(el("span", { class: "threshold" }), Math.min(1, answer.alert_threshold)));
    const extra = headline ? `, alert threshold ${threshold}` : "";
    const term = el("dt", {}, orStronger(event), el("span", { class: "visually-hidden", text: extra }));
    return el("div", { class: "row" }, term, bar, el("dd", { text: headline ? chance : percent(share) }));
  });
  const legend = [legendItem("key-threshold", `alert threshold of class M: ${threshold}`)];
  if (Object.keys(rates).length > 0) legend.push(legendItem("key-rate", "base rate that the model is calibrated for"));
  return el(
    "div",
    { class: "probabilities" },
    el("h3", { text: "Probability of at least one flare of this class" }),
    el("dl", {}, ...rows),
    el("p", { class: "small legend" }, ...legend),
  );
}
