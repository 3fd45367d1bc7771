// One answer of the server: the probability and the usual one, class and interval, the GOES scale,
// probabilities with climatology, and how reliable such a probability was.

import { el, legendItem, setStyle } from "./dom.js";
import { againstUsual, BANDS, classOf, fluxText, letterOf, orStronger, percent, percents, placeOf, power, SCALE, UNIT, utc } from "./goes.js";
import { reliability } from "./reliability.js";

const EVENT = "M1.0";

/** A row of the history as an answer; what it lacks is the model's, its threshold only where the row is of that version. */
export function answerOf(row, model, ofModel) {
  const hours = row.valid_from ? Math.round((new Date(row.valid_to) - new Date(row.valid_from)) / 3.6e6) : (model?.window_hours ?? 24);
  const threshold = ofModel ? (model.thresholds?.[EVENT] ?? null) : null;
  return { window_hours: hours, interval_level: model?.interval_level ?? 0.9, alert_threshold: threshold, ...row };
}

/** The forecast as sentences. `threshold` is null in a stored forecast of another version. */
export function wordsOf(answer, rates = {}) {
  const [chance, threshold] = answer.alert_threshold === null ? [percent(answer.mx_probability), null] : percents(answer.mx_probability, answer.alert_threshold);
  const [low, high] = [classOf(answer.flux_low_w_m2), classOf(answer.flux_high_w_m2)];
  const usual = rates[EVENT] > 0 ? `, ${againstUsual(answer.mx_probability, rates[EVENT])}` : "";
  const against = threshold === null ? "" : `${answer.alert ? "At or above" : "It is below"} the alert threshold of ${threshold}: ${answer.alert ? "alert" : "no alert"}.`;
  return [
    `${chance} for M1 or stronger in ${answer.window_hours} hours${usual}.`,
    `The forecast peak is ${answer.goes_class}, with a ${percent(answer.interval_level)} interval from ${low} to ${high}.`,
    against,
  ];
}

/**
 * Fill `place` with an answer. `about` has the `rates` of events that the model is calibrated for and its `reliability`, where
 * they are known, and `other`: another version's forecast of the same sample, if it was asked for.
 */
export function showForecast(place, answer, { rates = {}, bins = [], scoredOn = null, other = null } = {}) {
  const parts = [headline(answer, rates), scale(answer), probabilities(answer, rates, other)];
  const reliable = reliability(answer.mx_probability, bins, scoredOn);
  if (reliable) parts.push(reliable);
  if (answer.status && answer.status !== "normal") parts.unshift(caution(answer));
  if (answer.synthetic) parts.unshift(synthetic());
  place.replaceChildren(...parts);
}

function headline(answer, rates) {
  const [, peak, against] = wordsOf(answer);
  const usual = rates[EVENT] > 0 ? againstUsual(answer.mx_probability, rates[EVENT]) : null;
  return el(
    "div",
    { class: "headline" },
    el(
      "div",
      { class: "chance" },
      el("p", { class: "chance-value", text: percent(answer.mx_probability) }),
      el("p", { class: "chance-of" }, el("strong", { text: "for M1 or stronger" }), usual === null ? null : `, ${usual}`),
      answer.alert_threshold === null ? null : el("p", { class: answer.alert ? "pill alert" : "pill", text: answer.alert ? "Alert" : "No alert" }),
    ),
    el(
      "div",
      { class: "verdict" },
      el(
        "p",
        { class: "peak" },
        el("span", { class: `class-name class-${letterOf(answer.peak_flux_w_m2)}`, text: answer.goes_class }),
        el("span", { class: "interval-words", text: `${classOf(answer.flux_low_w_m2)} to ${classOf(answer.flux_high_w_m2)}` }),
        el("span", { class: "flux" }, `${fluxText(answer.peak_flux_w_m2)} ${UNIT}`),
      ),
      el("p", { class: "words", text: `${peak} ${against}`.trim() }),
      answer.coherent === false ? contradiction() : null,
      facts(answer),
    ),
  );
}

/** When it was issued, for when, and for which region: what the server knows of it. */
function facts(answer) {
  const unknown = "valid_from" in answer && answer.valid_from === null ? "unknown: the files do not state the times of the images" : null;
  const rows = [
    ["Issued", answer.issue_time ? utc(answer.issue_time) : null],
    ["Valid", answer.valid_from ? `${utc(answer.valid_from)} to ${utc(answer.valid_to)}` : unknown],
    ["Region", answer.active_region ? `NOAA ${answer.active_region}` : null],
  ].filter(([, text]) => text !== null);
  return rows.length === 0 ? null : el("dl", { class: "times-of" }, ...rows.map(([name, text]) => el("div", {}, el("dt", { text: name }), el("dd", { text }))));
}

function caution({ status, reasons }) {
  const text = status === "abstain" ? "Do not use these numbers: too few images can be used." : "Use with care: some images are missing or unlike those of the training.";
  const why = (reasons ?? []).length > 0 ? ` ${reasons.join("; ")}.` : "";
  return el("p", { class: "synthetic caution" }, el("strong", { text: status.toUpperCase() }), ` ${text}${why}`);
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
  // The ends of the scale are where the axis stops, not where the flux does: an arrow says so.
  const beyond = answer.flux_high_w_m2 >= 10 ** high ? " beyond" : "";
  const below = answer.flux_low_w_m2 <= 10 ** low * 1.0001 ? " below" : "";
  const pin = at(el("span", { class: "pin" }, el("span", { class: "pin-label", text: answer.goes_class })), peak);
  if (peak < 0.06) pin.classList.add("first");
  if (peak > 0.94) pin.classList.add("last");
  const [, words] = wordsOf(answer);
  const further = [below && "The arrow on the left: the interval reaches the quiet end of the scale.", beyond && "The arrow on the right: the interval goes beyond the scale."].filter(Boolean).join(" ");
  return el(
    "figure",
    { class: "scale" },
    el(
      "div",
      { class: "scale-picture", role: "img", "aria-label": `GOES class scale from A to X. ${words} ${further}`.trim() },
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

function probabilities(answer, rates, other) {
  const [, threshold] = percents(answer.mx_probability, answer.alert_threshold ?? 1);
  const columns = [["this forecast", answer.probabilities ?? { [EVENT]: answer.mx_probability }]];
  if (Object.keys(rates).length > 0) columns.push(["climatology", rates]);
  if (other !== null) columns.push([`version ${other.model_version}`, other.probabilities ?? { [EVENT]: other.mx_probability }]);
  const known = answer.alert_threshold !== null;
  const rows = Object.entries(columns[0][1]).map(([event, share]) => {
    const bar = el("div", { class: "bar", "aria-hidden": "true" }, at(el("span", { class: `fill class-${event[0]}` }), 0, share));
    if (event in rates) bar.append(at(el("span", { class: "rate" }), rates[event]));
    if (event === EVENT && known) bar.append(at(el("span", { class: "threshold" }), Math.min(1, answer.alert_threshold)));
    const values = columns.map(([, one]) => el("td", { text: event in one ? percent(one[event]) : "\u2013" }));
    return el("tr", {}, el("th", { scope: "row", text: orStronger(event) }), el("td", { class: "of-bar" }, bar), ...values);
  });
  const legend = known ? [legendItem("key-threshold", `alert threshold of class M: ${threshold}`)] : [];
  if (columns.length > 1 && Object.keys(rates).length > 0) legend.push(legendItem("key-rate", "climatology: how often it happens, for which the model is calibrated"));
  return el(
    "div",
    { class: "probabilities" },
    el("h3", { text: "Probability of at least one flare of this class" }),
    el(
      "table",
      {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("span", { class: "visually-hidden", text: "Class" })), el("td"), ...columns.map(([name]) => el("th", { scope: "col", text: name })))),
      el("tbody", {}, ...rows),
    ),
    el("p", { class: "small legend" }, ...legend),
  );
}
