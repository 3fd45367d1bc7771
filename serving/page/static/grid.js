// The 4 x 10 images as a grid of tiles: arrow keys move, Enter opens, missing images are marked.

import { drawPlane, reduced } from "./colours.js";
import { el, setStyle, visuallyHidden } from "./dom.js";
import { CHANNELS, COUNT, gapsOf, instrument, STEPS, title } from "./sample.js";

/** On narrow screens channels are rows and times are columns; adapted.css has the same width. */
const NARROW = matchMedia("(max-width: 719px)");

/** The name of an image in words. */
export const nameOf = (index) => {
  const channel = CHANNELS[index % CHANNELS.length];
  const step = STEPS[Math.floor(index / CHANNELS.length)];
  return `${instrument(channel)} ${title(channel)}, ${step} before the forecast window`;
};

/** The gaps of a sample as a sentence. */
export function gapsText(sample) {
  const gaps = gapsOf(sample);
  if (gaps.length === 0) return "All 40 images are present.";
  const count = `${COUNT - gaps.length} of 40 images`;
  if (gaps.length > 4) return `${count}; ${gaps.length} are missing and masked.`;
  const names = gaps.map(({ step, channel }) => `${title(CHANNELS[channel])} ${STEPS[step]} before`);
  return `${count}; missing and masked: ${names.join(", ")}.`;
}

/** Fill `place` with the grid of a sample at `size` pixels an image; `open(index, tile)` is called for a tile. */
export function showGrid(place, sample, size, open) {
  const tiles = sample.planes.map((plane, index) => tileOf(plane && reduced(plane, size), index, open));
  const corner = el("div", { role: "columnheader", class: "corner" }, visuallyHidden("Time before the forecast window"));
  const head = el("div", { role: "row" }, corner, ...CHANNELS.map(channelHeader));
  const rows = STEPS.map((step, row) => {
    const header = el("div", { role: "rowheader", class: "step" }, el("span", { text: step }), el("span", { class: "before", text: " before" }));
    setStyle(header, { "--step": row + 2 });
    const cells = tiles.slice(row * CHANNELS.length, (row + 1) * CHANNELS.length).map((tile, column) => {
      const cell = el("div", { role: "gridcell" }, tile);
      setStyle(cell, { "--step": row + 2, "--channel": column + 2 });
      return cell;
    });
    return el("div", { role: "row" }, header, ...cells);
  });
  const grid = el("div", { role: "grid", class: "grid", "aria-label": "Images of the sample" }, head, ...rows);
  tiles[0].tabIndex = 0;
  grid.addEventListener("keydown", (event) => move(event, tiles));
  grid.addEventListener("focusin", (event) => {
    const tile = event.target.closest(".tile");
    if (tile) tiles.forEach((other) => (other.tabIndex = other === tile ? 0 : -1));
  });
  place.replaceChildren(grid);
}

function channelHeader(channel, column) {
  const header = el(
    "div",
    { role: "columnheader", class: "channel" },
    el("span", { class: "instrument", text: instrument(channel) }),
    el("span", { text: title(channel).replace(/^(magneto|contin)/, "$1\u00ad") }),
  );
  setStyle(header, { "--channel": column + 2 });
  return header;
}

function tileOf(plane, index, open) {
  if (plane === null) {
    return el("div", { class: "tile gap", tabindex: "-1", role: "img", "aria-label": `${nameOf(index)}: missing` }, el("span", { text: "missing", "aria-hidden": "true" }));
  }
  const canvas = el("canvas");
  drawPlane(canvas, plane, CHANNELS[index % CHANNELS.length]);
  const tile = el("button", { type: "button", class: "tile", tabindex: "-1", "aria-label": nameOf(index), on: { click: () => open(index, tile) } }, canvas);
  return tile;
}

function move(event, tiles) {
  const at = tiles.indexOf(event.target.closest(".tile"));
  if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
  let step = Math.floor(at / CHANNELS.length);
  let channel = at % CHANNELS.length;
  const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (by) {
    const [across, along] = NARROW.matches ? [by[1], by[0]] : by;
    step = Math.min(STEPS.length - 1, Math.max(0, step + across));
    channel = Math.min(CHANNELS.length - 1, Math.max(0, channel + along));
  } else if (event.key === "Home") [step, channel] = event.shiftKey ? [0, 0] : [step, 0];
  else if (event.key === "End") channel = CHANNELS.length - 1;
  else return;
  event.preventDefault();
  tiles[step * CHANNELS.length + channel].focus();
}
