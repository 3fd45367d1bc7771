// What a forecast rests on: the server hides each image, channel, time and place in turn.

import * as api from "./api.js";
import { drawPlane, reduced } from "./colours.js";
import { byId, el, setStyle } from "./dom.js";
import { percent, points } from "./goes.js";
import { nameOf } from "./grid.js";
import { CHANNELS, SHOWS, STEPS, title } from "./sample.js";

const HEAT = 512; // pixels of the enlarged image

/** Offer to explain what was `sent`, as long as it is what `current()` returns; `size()` is the edge of the model's images. */
export function offerWhy(sent, current, size) {
  const text = el("p", { class: "small", text: "The server hides each image, channel, time and place in turn and forecasts again: about a second." });
  const button = el("button", { type: "button", id: "explain", text: "Show what this forecast rests on" });
  button.addEventListener("click", async () => {
    button.disabled = true;
    text.textContent = "Hiding parts of the sample in turn.";
    try {
      const explanation = await api.explain(sent.kind, sent.files);
      if (current() === sent) showWhy(explanation, sent.sample, size());
    } catch (error) {
      text.textContent = `It cannot be explained now: ${error.message}`;
      button.disabled = false;
      button.textContent = "Try again";
    }
  });
  byId("why").hidden = false;
  byId("why-body").replaceChildren(text, button);
}

/** Fill the panel with the server's explanation; `sample` is null where the page cannot show its images. */
function showWhy(explanation, sample, size) {
  const place = byId("why-body");
  const strongest = strongestImage(explanation);
  place.replaceChildren(
    el("p", { class: "words", text: sentenceOf(explanation) }),
    el("div", { class: "why-parts" }, el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Contributions of the images" }, table(explanation)), heatMap(explanation, sample, strongest, size)),
    ...features(explanation),
    el("p", { class: "small", text: "In probability points: the probability minus that without the part. Of two images that say the same, hiding either changes little, so contributions do not add up. It shows what the model uses, not what causes flares." }),
  );
}

const most = (values) => Math.max(1e-9, ...values.flat(2).map((value) => Math.abs(value ?? 0)));

function sentenceOf({ probability, channels, steps }) {
  const best = channels.reduce((top, value, index) => (Math.abs(value ?? 0) > Math.abs(channels[top] ?? 0) ? index : top), 0);
  const time = steps.reduce((top, value, index) => (Math.abs(value ?? 0) > Math.abs(steps[top] ?? 0) ? index : top), 0);
  if (most(channels) < 0.0005 && most(steps) < 0.0005) return `The ${percent(probability)} would be the same without any one channel or time.`;
  const turned = (value) => `${value > 0 ? "lower" : "higher"} by ${points(Math.abs(value)).replace("+", "")} points`;
  return `Without ${title(CHANNELS[best])} at all times the ${percent(probability)} would be ${turned(channels[best])}; without all images of ${STEPS[time]} before, ${turned(steps[time])}.`;
}

/** Colour a cell: more likely warm, less likely blue, by its share of the largest. */
function heat(cell, value, largest) {
  const share = (value ?? 0) / largest;
  cell.classList.add(share >= 0 ? "more" : "less");
  setStyle(cell, { "--heat": `${Math.round(Math.min(1, Math.abs(share)) * 70)}%` });
  return cell;
}

function table({ images, channels, steps }) {
  const largest = most([images, channels, steps]);
  const cell = (value) => (value === null ? el("td", { class: "none", text: "missing" }) : heat(el("td", { text: Math.abs(value) < largest / 200 ? "0" : points(value) }), value, largest));
  const head = el("tr", {}, el("td"), ...STEPS.map((step) => el("th", { scope: "col", text: step })), el("th", { scope: "col", text: "all" }));
  const rows = CHANNELS.map((channel, column) =>
    el("tr", {}, el("th", { scope: "row", title: SHOWS[channel], text: title(channel) }), ...images.map((row) => cell(row[column])), cell(channels[column])),
  );
  const last = el("tr", { class: "all" }, el("th", { scope: "row", text: "all" }), ...steps.map(cell), el("td"));
  return el("table", { class: "why-table" }, el("caption", { class: "visually-hidden", text: "Probability points of each image, channel and time" }), el("thead", {}, head), el("tbody", {}, ...rows, last));
}

function strongestImage({ images }) {
  let best = 0;
  const flat = images.flat();
  flat.forEach((value, index) => {
    if (value !== null && Math.abs(value) >= Math.abs(flat[best] ?? 0)) best = index;
  });
  return best;
}

/** The places over the image that mattered most, enlarged. */
function heatMap({ places }, sample, index, size) {
  const canvas = el("canvas", { width: HEAT, height: HEAT, role: "img" });
  const context = canvas.getContext("2d");
  const largest = most(places);
  const plane = sample?.planes[index];
  if (plane) {
    const small = el("canvas");
    drawPlane(small, reduced(plane, size), "magnetogram"); // grey, so that the colours are those of the places
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, HEAT, HEAT);
  }
  const edge = HEAT / places.length;
  const style = getComputedStyle(document.documentElement);
  places.forEach((row, y) =>
    row.forEach((value, x) => {
      context.globalAlpha = 0.75 * Math.min(1, Math.abs(value) / largest);
      context.fillStyle = style.getPropertyValue(value >= 0 ? "--more" : "--less");
      context.fillRect(x * edge, y * edge, edge, edge);
    }),
  );
  const [y, x] = places.flatMap((row, r) => row.map((value, c) => [r, c, Math.abs(value)])).reduce((top, one) => (one[2] > top[2] ? one : top), [0, 0, -1]);
  const text = `Places, hidden in all images at once, over ${plane ? nameOf(index) : "no image"}; the strongest is worth ${points(places[y][x])} points.`;
  canvas.setAttribute("aria-label", text);
  return el("figure", { class: "why-map" }, canvas, el("figcaption", { class: "small", text }));
}

function features({ features: contributions }) {
  const names = Object.entries(contributions);
  if (names.length === 0) return [];
  const largest = most(names.map(([, value]) => value));
  const items = names.map(([name, value]) => el("li", {}, el("span", { text: name.replaceAll("_", " ") }), heat(el("span", { class: "points", text: points(value) }), value, largest)));
  return [el("div", { class: "why-of-features" }, el("h3", { text: "Features that mattered" }), el("ul", { class: "why-features" }, ...items))];
}
