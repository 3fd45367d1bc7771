// The picture in the empty drop zone: forty small tiles of an artificial bipole in SDO's colours.
// It shows what a sample looks like; it is not data and is never sent.

import { colourOf } from "./colours.js";
import { CHANNELS, OFFSETS } from "./sample.js";

const TILE = 44; // pixels of the canvas, which is shown at half its size
const GAP = 8;

/** Draw the forty tiles on a canvas, which is resized for them. */
export function illustrate(canvas) {
  canvas.width = CHANNELS.length * (TILE + GAP) - GAP;
  canvas.height = OFFSETS.length * (TILE + GAP) - GAP;
  const context = canvas.getContext("2d");
  CHANNELS.forEach((channel, column) =>
    OFFSETS.forEach((_, step) => {
      context.putImageData(tile(context, channel, step), column * (TILE + GAP), step * (TILE + GAP));
    }),
  );
}

function tile(context, channel, step) {
  const image = context.createImageData(TILE, TILE);
  for (let y = 0; y < TILE; y++) {
    for (let x = 0; x < TILE; x++) {
      const [u, v] = [(x / TILE - 0.5) * 2, (y / TILE - 0.5) * 2];
      const level = Math.round(Math.min(255, Math.max(0, 255 * brightness(channel, u, v, step))));
      image.data.set([...colourOf(channel, level), corner(x, y)], (y * TILE + x) * 4);
    }
  }
  return image;
}

const spot = (u, v, x, y, width) => Math.exp(-((u - x) ** 2 + (v - y) ** 2) / width ** 2);

function brightness(channel, u, v, step) {
  const grown = 0.7 + 0.1 * step;
  const [left, right] = [spot(u, v, -0.3, 0.12, 0.26 * grown), spot(u, v, 0.28, -0.08, 0.3 * grown)];
  if (channel === "magnetogram") return 0.5 + 0.62 * right - 0.62 * left;
  if (channel === "continuum") return 0.78 - 0.6 * grown * (left ** 2 + right ** 2);
  const far = Math.hypot(u, v * 1.25);
  const loops = Math.exp(-((far - 0.5) ** 2) / 0.012) + 0.7 * Math.exp(-((far - 0.28) ** 2) / 0.01);
  return 0.26 + 0.1 * (1 - far) + 0.34 * grown * (left + right) + 0.2 * grown * loops;
}

/** The opacity of a pixel: tiles have round corners. */
function corner(x, y) {
  const radius = 9;
  const [dx, dy] = [x, y].map((at) => Math.max(0, radius - at - 0.5, at + 0.5 - (TILE - radius)));
  return Math.round(255 * Math.min(1, Math.max(0, radius - Math.hypot(dx, dy) + 0.5)));
}
