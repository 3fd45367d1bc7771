// One image, large, in a dialog: with its colours in physical units; keys lead to the other images.

import { drawBar, drawPlane } from "./colours.js";
import { byId, el, setStyle } from "./dom.js";
import { nameOf } from "./grid.js";
import { utc } from "./goes.js";
import { CHANNELS, greyOf, instrument, physical, PIXELS, SHOWS, SIZE, STEPS, title } from "./sample.js";

const TICKS = {
  94: [0.1, 1, 10, 100],
  131: [1, 10, 100, 1000],
  171: [10, 100, 1000],
  193: [100, 1000],
  211: [10, 100, 1000],
  304: [1, 10, 100, 1000],
  335: [1, 10, 100],
  1700: [300, 1000, 3000],
  continuum: [0, 20000, 40000, 60000],
  magnetogram: [-200, -100, 0, 100, 200],
};

let shown = null; // {sample, index}

/** Open the dialog with one image of a sample; the browser then returns the focus. */
export function openViewer(sample, index) {
  shown = { sample, index };
  show();
  byId("viewer").showModal();
}

function show() {
  const { sample, index } = shown;
  const channel = CHANNELS[index % CHANNELS.length];
  const plane = sample.planes[index];
  const canvas = byId("viewer-canvas");
  byId("viewer-title").textContent = `${instrument(channel)} ${title(channel)}`;
  byId("viewer-gap").hidden = plane !== null;
  canvas.hidden = plane === null;
  canvas.setAttribute("aria-label", nameOf(index));
  if (plane !== null) drawPlane(canvas, plane, channel);
  describe();
  showBar(channel);
  showTimes();
}

function describe(value = null) {
  const { sample, index } = shown;
  const channel = CHANNELS[index % CHANNELS.length];
  const time = sample.times[index];
  const parts = [SHOWS[channel]];
  if (sample.planes[index] === null) parts.push("This image is missing; the model masks it");
  if (time !== null) parts.push(utc(new Date(time)));
  if (value !== null) parts.push(`here ${short(value)} ${PIXELS[channel][3]}`);
  byId("viewer-text").textContent = `${parts.join(". ")}.`;
}

const short = (value) => (Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(2)).replace("-", "\u2212");

function showBar(channel) {
  const canvas = el("canvas", { width: 256, height: 1 });
  drawBar(canvas, channel);
  const ticks = TICKS[channel].map((value) => {
    const tick = el("span", { class: "tick", text: value.toLocaleString("en").replace("-", "\u2212") });
    setStyle(tick, { left: `${(greyOf(value, channel) / 255) * 100}%` });
    return tick;
  });
  const unit = el("span", { class: "unit", text: PIXELS[channel][3] });
  byId("viewer-bar").replaceChildren(canvas, el("div", { class: "ticks" }, ...ticks), unit);
}

function showTimes() {
  const channel = shown.index % CHANNELS.length;
  const now = Math.floor(shown.index / CHANNELS.length);
  const buttons = STEPS.map((step, row) =>
    el("button", { type: "button", "aria-pressed": String(row === now), text: `${step} before`, on: { click: () => go(row, channel) } }),
  );
  const place = byId("viewer-times");
  const had = place.contains(document.activeElement);
  place.replaceChildren(...buttons);
  if (had) buttons[now].focus();
}

function go(step, channel) {
  const row = Math.min(STEPS.length - 1, Math.max(0, step));
  const column = (channel + CHANNELS.length) % CHANNELS.length;
  shown.index = row * CHANNELS.length + column;
  show();
}

function goBy(steps, channels) {
  go(Math.floor(shown.index / CHANNELS.length) + steps, (shown.index % CHANNELS.length) + channels);
}

/** Set up the dialog's keys and buttons, once. */
export function setUpViewer() {
  const dialog = byId("viewer");
  byId("viewer-close").addEventListener("click", () => dialog.close());
  byId("viewer-previous").addEventListener("click", () => goBy(0, -1));
  byId("viewer-next").addEventListener("click", () => goBy(0, 1));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!by) return;
    event.preventDefault();
    goBy(...by);
  });
  const canvas = byId("viewer-canvas");
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const [column, row] = [x, y].map((share) => Math.min(SIZE - 1, Math.max(0, Math.floor(share * SIZE))));
    const channel = CHANNELS[shown.index % CHANNELS.length];
    describe(physical(shown.sample.planes[shown.index][row * SIZE + column], channel));
  });
  canvas.addEventListener("pointerleave", () => describe());
}
