// A .npy file as forty grey planes, by the rules of flare/images/npy.py. Where it cannot be read
// here the server decides; the page only reports it.

import { COUNT, PLANE, SIZE } from "./sample.js";

export class Unreadable extends Error {}

const little = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Read the header: {descr, fortran, shape, offset}. */
export function readHeader(buffer) {
  const bytes = new Uint8Array(buffer);
  if (bytes.length < 12 || String.fromCharCode(...bytes.subarray(1, 6)) !== "NUMPY" || bytes[0] !== 0x93) {
    throw new Unreadable("it is not a .npy file");
  }
  const view = new DataView(buffer);
  const wide = bytes[6] >= 2; // format 2.0 has four bytes for the header's length
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const offset = (wide ? 12 : 10) + length;
  if (offset > bytes.length) throw new Unreadable("its header is cut short");
  const text = new TextDecoder("latin1").decode(bytes.subarray(wide ? 12 : 10, offset));
  const descr = /'descr'\s*:\s*'([^']+)'/.exec(text)?.[1];
  const fortran = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape'\s*:\s*\(([^)]*)\)/.exec(text)?.[1];
  if (!descr || !fortran || shape === undefined) throw new Unreadable("its header cannot be read");
  const sizes = shape.split(",").filter((part) => part.trim()).map(Number);
  return { descr, fortran: fortran === "True", shape: sizes, offset };
}

/** Return COUNT planes of a sample, null where an image is missing: all of a single value. */
export function planesOfNpy(buffer) {
  const { descr, fortran, shape, offset } = readHeader(buffer);
  const known = [`${COUNT},${SIZE},${SIZE}`, `4,10,${SIZE},${SIZE}`];
  if (!known.includes(shape.join())) throw new Unreadable(`its shape is (${shape.join(", ")})`);
  const values = valuesOf(buffer, offset, descr);
  if (values.length !== COUNT * PLANE) throw new Unreadable("its length is not the one in its header");
  const grey = greyLevels(values, descr);
  const planes = [];
  for (let index = 0; index < COUNT; index++) {
    const plane = fortran ? fortranPlane(grey, shape, index) : grey.subarray(index * PLANE, (index + 1) * PLANE);
    planes.push(isUniform(plane) ? null : plane);
  }
  return planes;
}

function fortranPlane(grey, shape, index) {
  // In Fortran order the first index runs fastest: (40, y, x) and (4, 10, y, x) differ in it.
  const at = shape.length === 3 ? index : Math.floor(index / 10) + 4 * (index % 10);
  const plane = new Uint8Array(PLANE);
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) plane[y * SIZE + x] = grey[at + COUNT * (y + SIZE * x)];
  }
  return plane;
}

const ARRAYS = {
  u1: Uint8Array,
  i1: Int8Array,
  u2: Uint16Array,
  i2: Int16Array,
  u4: Uint32Array,
  i4: Int32Array,
  u8: BigUint64Array,
  i8: BigInt64Array,
  f2: Uint16Array, // decoded below
  f4: Float32Array,
  f8: Float64Array,
};

function valuesOf(buffer, offset, descr) {
  const [, order, type] = /^([<>|=])([uif]\d)$/.exec(descr) ?? [];
  const kind = ARRAYS[type];
  if (kind === undefined) throw new Unreadable(`its type is ${descr}`);
  const width = kind.BYTES_PER_ELEMENT;
  if ((buffer.byteLength - offset) % width) throw new Unreadable("it is cut short");
  const data = buffer.slice(offset);
  if (width > 1 && (order === ">") === little) swap(new Uint8Array(data), width);
  const values = new kind(data);
  if (type === "f2") return Float32Array.from(values, half);
  return type === "u8" || type === "i8" ? Float64Array.from(values, Number) : values;
}

function swap(bytes, width) {
  for (let start = 0; start < bytes.length; start += width) bytes.subarray(start, start + width).reverse();
}

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** A float plane that gets this bright is on the scale of levels; flare/images/grey_scale.py says why. */
const SURELY_LEVEL = 16;

function greyLevels(values, descr) {
  if (values instanceof Uint8Array) return values;
  if (values.some((value) => !(value >= 0 && value <= 255))) throw new Unreadable("its values are not within 0 and 255"); // NaN too
  const scale = /f/.test(descr) && areFractions(values) ? 255 : 1;
  const grey = new Uint8Array(values.length);
  for (let index = 0; index < values.length; index++) grey[index] = Math.round(values[index] * scale);
  return grey;
}

/** Whether floats are fractions of 255; where they may be either, the server refuses them too. */
function areFractions(values) {
  let fractions = false;
  let levels = false;
  let unsure = false;
  for (let start = 0; start < values.length; start += PLANE) {
    const plane = values.subarray(start, start + PLANE);
    const high = plane.reduce((most, value) => Math.max(most, value), 0);
    if (isUniform(plane)) continue;
    const whole = () => plane.every(Number.isInteger);
    if (high >= SURELY_LEVEL || (high > 1 && whole())) levels = true;
    else if (high > 1) unsure = true;
    else if (!whole()) fractions = true;
  }
  if (levels ? fractions : unsure || !fractions) throw new Unreadable("its floats may be fractions or grey levels");
  return fractions;
}

const isUniform = (plane) => plane.every((value) => value === plane[0]);
