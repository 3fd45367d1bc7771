// The usual colours of SDO's channels as tables of 256 RGBA values, computed as aia_lct.pro of
// SolarSoft (Karel Schrijver, 2010) does from its four ramps and IDL's table 3, "red temperature".
// Continuum is the project's own warm ramp (flare/plots/samples.py); magnetograms are grey.

import { SIZE } from "./sample.js";

const LEVELS = Array.from({ length: 256 }, (_, level) => level);
const c0 = LEVELS;
const c1 = LEVELS.map((level) => Math.sqrt(level * 255));
const c2 = LEVELS.map((level) => (level * level) / 255);
const c3 = LEVELS.map((level) => (c1[level] + c2[level] / 2) / 1.5);
const ramp = (from, to) => LEVELS.map((level) => 255 * Math.min(1, Math.max(0, (level - from) / (to - from))));
const r0 = ramp(0, 176);
const g0 = ramp(120, 255);
const b0 = ramp(190, 255);

const WARM = [
  [0, 0, 0],
  [90, 58, 24],
  [176, 119, 58],
  [240, 189, 124],
  [255, 246, 232],
];
const warm = (part) =>
  LEVELS.map((level) => {
    const at = (level / 255) * 4;
    const left = Math.min(3, Math.floor(at));
    return WARM[left][part] + (WARM[left + 1][part] - WARM[left][part]) * (at - left);
  });

const RAMPS = {
  94: [c2, c3, c0],
  131: [g0, r0, r0],
  171: [r0, c0, b0],
  193: [c1, c0, c2],
  211: [c1, c0, c3],
  304: [r0, g0, b0],
  335: [c2, c0, c1],
  1700: [c1, c0, c0],
  continuum: [warm(0), warm(1), warm(2)],
  magnetogram: [c0, c0, c0],
};

const tables = new Map();

/** The colours of a channel as 256 32-bit pixels. */
function tableOf(channel) {
  if (!tables.has(channel)) {
    const bytes = new Uint8ClampedArray(1024);
    RAMPS[channel].forEach((values, part) => values.forEach((value, level) => (bytes[level * 4 + part] = value)));
    for (let level = 0; level < 256; level++) bytes[level * 4 + 3] = 255;
    tables.set(channel, new Uint32Array(bytes.buffer));
  }
  return tables.get(channel);
}

/** The colour of a grey level as [red, green, blue]. */
export function colourOf(channel, level) {
  return [...new Uint8Array(tableOf(channel).buffer, level * 4, 3)];
}

/** Average a plane of SIZE x SIZE down to `size` pixels an edge, rounded half up as flare.sample.reduce_cubes. */
export function reduced(plane, size) {
  const block = SIZE / size;
  if (block <= 1 || !Number.isInteger(block)) return plane;
  const small = new Uint8Array(size * size);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      let sum = 0;
      for (let row = y * block; row < (y + 1) * block; row++) {
        for (let column = x * block; column < (x + 1) * block; column++) sum += plane[row * SIZE + column];
      }
      small[y * size + x] = Math.floor((sum + block * block / 2) / (block * block));
    }
  }
  return small;
}

/** Draw a square plane of grey levels on a canvas, which gets its size. */
export function drawPlane(canvas, plane, channel) {
  const size = Math.sqrt(plane.length);
  if (canvas.width !== size) canvas.width = canvas.height = size;
  const table = tableOf(channel);
  const context = canvas.getContext("2d");
  const image = context.createImageData(size, size);
  const pixels = new Uint32Array(image.data.buffer);
  for (let index = 0; index < pixels.length; index++) pixels[index] = table[plane[index]];
  context.putImageData(image, 0, 0);
}

/** Draw a channel's colours from left to right on a canvas of 256 x 1. */
export function drawBar(canvas, channel) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(256, 1);
  new Uint32Array(image.data.buffer).set(tableOf(channel));
  context.putImageData(image, 0, 0);
}
