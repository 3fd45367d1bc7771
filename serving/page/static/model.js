// The model that answers now: what it is, how it scored, and its card.

import { byId, el } from "./dom.js";
import { duration, number, percent, utc } from "./goes.js";
import { markdown } from "./markdown.js";

/** The most important scores and their meaning; the API has all of them. */
const SCORES = [
  ["true_skill_statistic", "True skill statistic", "0 no skill, 1 perfect"],
  ["brier_skill_score_vs_climatology", "Brier skill over climatology", "0 no skill, 1 perfect"],
  ["brier_skill_score", "Brier skill score", "0 no skill, 1 perfect"],
  ["roc_area", "ROC area", "0.5 no skill, 1 perfect"],
  ["heidke_skill_score", "Heidke skill score", "0 no skill, 1 perfect"],
  ["probability_of_detection", "Probability of detection", "share of M and X flares with an alert"],
  ["false_alarm_ratio", "False alarm ratio", "share of alerts without such a flare"],
];
const MOST = 4;
const EVENT = "M1.0";

/** Fill `place` with a model, or with `health` alone where the server does not describe it. */
export function showModel(place, model, health) {
  const version = model?.version ?? health?.model_version;
  if (!version) {
    const reason = health?.last_error ? [el("p", { class: "small", text: health.last_error })] : [];
    place.replaceChildren(el("p", { text: "No model is loaded yet." }), ...reason);
    return;
  }
  const parts = [el("p", { class: "model-name" }, el("strong", { text: model?.name ?? health.model_name }), el("span", { class: "version", text: `version ${version}` }))];
  if (model?.synthetic) parts.push(el("p", { class: "synthetic short" }, el("strong", { text: "SYNTHETIC" }), " training data"));
  parts.push(facts(model, health), ...scores(model), links(model));
  place.replaceChildren(...parts);
}

function facts(model, health) {
  const rows = [
    ["Kind", kind(model)],
    ["Trained on", data(model)],
    ["Images", model?.image_size ? `${model.image_size} \u00d7 ${model.image_size} pixels` : null],
    ["Alert threshold", model?.thresholds?.[EVENT] !== undefined ? `P(M or X) \u2265 ${percent(model.thresholds[EVENT])}` : null],
    ["Runs on", [health?.engine, health?.device].filter(Boolean).join(", ") || null],
    ["Live since", health?.loaded_at ? utc(health.loaded_at) : null],
  ];
  const shown = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", { class: "facts" }, ...shown.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { text: String(value) }))));
}

function kind(model) {
  const { kind: name, family } = model ?? {};
  return family && family !== name ? `${name}, ${family}` : name;
}

function data(model) {
  if (!model?.n_samples) return model?.data_name;
  const regions = model.n_active_regions ? ` of ${model.n_active_regions.toLocaleString("en")} active regions` : "";
  return `${model.data_name}: ${model.n_samples.toLocaleString("en")} samples${regions}`;
}

function scores(model) {
  const ofEvent = (model?.scores ?? []).filter(({ event }) => event === EVENT);
  const rows = SCORES.map(([name, title, meaning]) => ({ title, meaning, ...ofEvent.find((score) => score.name === name) }))
    .filter(({ value }) => Number.isFinite(value))
    .slice(0, MOST);
  const heading = el("h3", { text: "Scores for class M and X" });
  if (rows.length === 0) return [heading, el("p", { class: "small", text: "No scores are stored with this version." })];
  const [first] = rows;
  const table = el(
    "table",
    { class: "scores" },
    el("caption", { class: "visually-hidden", text: "Scores of this version with their intervals" }),
    el("thead", { class: "visually-hidden" }, el("tr", {}, ...["Score", "Value and interval"].map((text) => el("th", { scope: "col", text })))),
    el("tbody", {}, ...rows.map(row)),
  );
  const many = [first.n ? `${first.n.toLocaleString("en")} samples` : null, Number.isFinite(first.n_events) ? `${first.n_events.toLocaleString("en")} of them with a flare of class M or X` : null];
  const on = [model.scores_on ? `On the ${model.scores_on.replace(/^the /, "")}` : null, ...many].filter(Boolean).join(", ");
  return [heading, table, el("p", { class: "small", text: `${on}${on ? ". " : ""}95\u202f% intervals, over active regions.` })];
}

function row({ title, meaning, value, low, high }) {
  const known = Number.isFinite(low) && Number.isFinite(high);
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, title, el("span", { class: "meaning", text: meaning })),
    el("td", {}, el("span", { class: "value", text: number(value) }), el("span", { class: "range", text: known ? `${number(low)} to ${number(high)}` : "" })),
  );
}

function links(model) {
  const place = el("div", { class: "buttons links" });
  if (model?.card) {
    const open = () => {
      byId("card-text").replaceChildren(...markdown(model.card));
      byId("card-title").textContent = `Model card of ${model.name}, version ${model.version}`;
      byId("card").showModal();
    };
    place.append(el("button", { type: "button", text: "Model card", on: { click: open } }));
  }
  place.append(el("a", { class: "plain", href: "/docs", text: "API documentation" }));
  return place;
}

/** Show the state of the server in the header. */
export function showState(health, failure) {
  const state = byId("state");
  if (failure) {
    state.dataset.state = "off";
    byId("state-text").textContent = failure.status === 0 ? "Server not reachable" : "Server error";
  } else if (!health.model_loaded) {
    state.dataset.state = "waiting";
    byId("state-text").textContent = "No model yet";
  } else {
    state.dataset.state = health.last_error ? "waiting" : "on";
    const age = Number.isFinite(health.age_seconds) ? `, live for ${duration(health.age_seconds)}` : "";
    byId("state-text").textContent = `${health.model_name} version ${health.model_version}${age}`;
  }
  state.title = health?.last_error ?? "";
}

/** Set up how the card's dialog closes, once. */
export function setUpCard() {
  const dialog = byId("card");
  byId("card-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}
