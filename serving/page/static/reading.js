// Turn the files that the user chose into a sample, for the server and for the screen.

import { entriesOf } from "./zip.js";
import { planesOfNpy, Unreadable } from "./npy.js";
import { CHANNELS, COUNT, isIgnored, placesOf, PLANE, sampleOf, SIZE } from "./sample.js";

/** A choice of files that cannot be a sample; `hint` says what to do. */
export class Refused extends Error {
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

const HINT = "Choose one .npy file, one .zip of images, or up to 40 JPEG or PNG images of one sample.";

/**
 * Return what files are: {kind: "npy" | "zip" | "images", files, left}, `left` being the names of
 * images that are not part of a sample (1600 Å). By their first bytes, else by their names.
 */
export async function kindOf(files) {
  if (files.length === 0) throw new Refused("No file was chosen.", HINT);
  const kinds = await Promise.all(files.map(oneKind));
  const empty = files.find((file) => file.size === 0);
  if (empty) throw new Refused(`${empty.name} is empty.`, HINT);
  const unknown = kinds.indexOf(null);
  if (unknown >= 0) throw new Refused(`${files[unknown].name} is not a .npy, .zip, JPEG or PNG file.`, HINT);
  if (files.length === 1 && kinds[0] !== "images") return { kind: kinds[0], files, left: [] };
  if (kinds.some((kind) => kind !== "images")) {
    throw new Refused(`${files.length} files of different kinds, or several samples.`, HINT);
  }
  const left = files.filter((file) => isIgnored(file.name));
  const used = files.filter((file) => !isIgnored(file.name));
  if (used.length > COUNT) {
    throw new Refused(`${used.length} images; a sample has at most ${COUNT}.`, HINT);
  }
  if (used.length === 0) throw new Refused("Images of 1600 \u00c5 are not part of a sample.", HINT);
  return { kind: "images", files: used, left: left.map((file) => file.name) };
}

async function oneKind(file) {
  const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  const starts = (...bytes) => bytes.every((byte, index) => head[index] === byte);
  if (starts(0x93, 0x4e, 0x55, 0x4d)) return "npy";
  if (starts(0x50, 0x4b)) return "zip";
  if (starts(0xff, 0xd8) || starts(0x89, 0x50, 0x4e, 0x47)) return "images";
  const ending = /\.(npy|zip|jpe?g|png)$/i.exec(file.name)?.[1].toLowerCase();
  return { npy: "npy", zip: "zip", jpg: "images", jpeg: "images", png: "images" }[ending] ?? null;
}

/** Read files for the screen; throws Unreadable where a browser cannot show them. */
export async function readSample(kind, files) {
  if (kind === "npy") return sampleOf(planesOfNpy(await files[0].arrayBuffer()));
  const named =
    kind === "images"
      ? files.map((file) => ({ name: file.name, read: async () => file }))
      : entriesOf(await files[0].arrayBuffer());
  return sampleOfImages(named);
}

async function sampleOfImages(named) {
  const { places } = placesOf(named.map(({ name }) => name));
  if (places.length === 0) throw new Unreadable("no image in it has a name such as 2012-01-15T000000__131.jpg");
  const reads = new Map(named.map(({ name, read }) => [name, read]));
  const planes = Array(COUNT).fill(null);
  const times = Array(COUNT).fill(null);
  for (const { name, step, channel, time } of places) {
    const index = step * CHANNELS.length + channel;
    if (planes[index] !== null) continue; // there is a nearer one
    planes[index] = await decodePlane(await reads.get(name)());
    times[index] = time;
  }
  return sampleOf(planes, times);
}

/** Decode a JPEG or PNG; null for what counts as missing: unreadable, of another size, of one value. */
async function decodePlane(data) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob([data]), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    return null;
  }
  if (bitmap.width !== SIZE || bitmap.height !== SIZE) return null;
  const canvas = new OffscreenCanvas(SIZE, SIZE);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data: pixels } = context.getImageData(0, 0, SIZE, SIZE);
  const plane = new Uint8Array(PLANE);
  for (let index = 0; index < PLANE; index++) plane[index] = pixels[index * 4];
  return plane.some((value) => value !== plane[0]) ? plane : null;
}

/** The files of a drop, those in folders too. */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const files = [];
  for (const entry of entries) await collect(entry, files);
  return files;
}

async function collect(entry, files) {
  if (entry === null || files.length > 500) return;
  if (entry instanceof File) files.push(entry);
  else if (entry.isFile) files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
  else {
    const reader = entry.createReader();
    for (;;) {
      const children = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (children.length === 0) break;
      for (const child of children) {
        if (!child.name.startsWith(".")) await collect(child, files);
      }
    }
  }
}
