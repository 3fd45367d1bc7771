// What a sample is: ten channels at four times; which image belongs where. The rules of
// flare/sample.py, flare/images/.

export const CHANNELS = ["94", "131", "171", "193", "211", "304", "335", "1700", "continuum", "magnetogram"];
export const OFFSETS = [0, 420, 630, 710]; // minutes into the input window of 12 hours
export const STEPS = OFFSETS.map((minutes) => {
  const before = 720 - minutes;
  return before >= 60 ? `${before / 60}\u00a0h` : `${before}\u00a0min`;
});
export const SIZE = 256;
export const PLANE = SIZE * SIZE;
export const COUNT = CHANNELS.length * OFFSETS.length;

/** Minutes that an image may lie from its time step. */
const TOLERANCE = 15;
const IGNORED = ["1600"]; // SDO observes it; samples do not have it

export const title = (channel) => (/^\d/.test(channel) ? `${channel} \u00c5` : channel);
export const instrument = (channel) => (/^\d/.test(channel) ? "AIA" : "HMI");

/** What a channel shows. */
export const SHOWS = {
  94: "Iron XVIII: flaring regions of the corona, about 6 million kelvin",
  131: "Iron VIII and XXI: transition region and flares, 0.4 and 10 million kelvin",
  171: "Iron IX: quiet corona and coronal loops, about 0.6 million kelvin",
  193: "Iron XII and XXIV: corona and hot flare plasma, 1.2 and 20 million kelvin",
  211: "Iron XIV: active regions of the corona, about 2 million kelvin",
  304: "Helium II: chromosphere and transition region, about 50,000 kelvin",
  335: "Iron XVI: active regions of the corona, about 2.5 million kelvin",
  1700: "Ultraviolet continuum: temperature minimum and photosphere",
  continuum: "Visible light: the photosphere with its sunspots",
  magnetogram: "Magnetic field along the line of sight: white points at us, black away",
};

/** How grey levels 0..255 become physical values: lowest, highest, logarithmic, unit. */
export const PIXELS = {
  94: [0.1, 800, true, "DN/s"],
  131: [0.7, 1900, true, "DN/s"],
  171: [5, 3500, true, "DN/s"],
  193: [20, 5500, true, "DN/s"],
  211: [7, 3500, true, "DN/s"],
  304: [0.1, 3500, true, "DN/s"],
  335: [0.4, 1000, true, "DN/s"],
  1700: [220, 5000, true, "DN/s"],
  continuum: [0, 65535, false, "counts"],
  magnetogram: [-250, 250, false, "gauss"],
};

/** The physical value of a grey level. */
export function physical(grey, channel) {
  const [low, high, logarithmic] = PIXELS[channel];
  const share = grey / 255;
  return logarithmic ? low * (high / low) ** share : low + (high - low) * share;
}

/** The grey level of a physical value. */
export function greyOf(value, channel) {
  const [low, high, logarithmic] = PIXELS[channel];
  return 255 * (logarithmic ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
}

const NAME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d)(\d\d)(\d\d)__([0-9a-z]+)\.(?:jpe?g|png)$/i;

/** The time (milliseconds, UTC) and channel in an image's file name; null for any other. */
export function parseName(path) {
  const match = NAME.exec(path.split("/").pop());
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  const time = Date.UTC(year, month - 1, day, hour, minute, second);
  const back = new Date(time); // for 31 February or 25 o'clock this is another time
  if (back.getUTCDate() !== day || back.getUTCMonth() !== month - 1 || back.getUTCHours() !== hour) return null;
  if (minute > 59 || second > 59) return null;
  const channel = match[7].toLowerCase();
  return CHANNELS.includes(channel) || IGNORED.includes(channel) ? { time, channel } : null;
}

/** Whether a file is an image of SDO that is not part of a sample. */
export const isIgnored = (path) => IGNORED.includes(parseName(path)?.channel);

/**
 * Where each of some names belongs: [{name, step, channel, minutes, time}], nearest first.
 * The window begins where the most images lie on time steps, then the least far from them, then
 * the earliest; images off schedule are left out.
 */
export function placesOf(names) {
  const parsed = names
    .map((name) => ({ name, ...parseName(name) }))
    .filter((image) => CHANNELS.includes(image.channel));
  const starts = new Set(parsed.flatMap(({ time }) => OFFSETS.map((offset) => time - offset * 60000)));
  let best = null;
  for (const start of starts) {
    const places = placed(parsed, start);
    const far = places.reduce((sum, { minutes }) => sum + minutes, 0);
    const misfit = [-places.length, far, start];
    if (best === null || lessThan(misfit, best.misfit)) best = { misfit, places, start };
  }
  if (best === null) return { start: null, places: [] };
  return { start: best.start, places: best.places.sort((a, b) => a.minutes - b.minutes) };
}

function placed(parsed, start) {
  return parsed
    .map((image) => {
      const into = (image.time - start) / 60000;
      const far = OFFSETS.map((offset) => Math.abs(into - offset));
      const minutes = Math.min(...far);
      return { ...image, minutes, step: far.indexOf(minutes), channel: CHANNELS.indexOf(image.channel) };
    })
    .filter(({ minutes }) => minutes <= TOLERANCE);
}

function lessThan(one, other) {
  const first = one.findIndex((value, index) => value !== other[index]);
  return first >= 0 && one[first] < other[first];
}

/**
 * A sample for the screen: `planes` has COUNT entries, step by step, each a Uint8Array of PLANE
 * grey levels or null where the image is missing; `times` the time of each where it is known.
 */
export function sampleOf(planes, times = null) {
  return { planes, times: times ?? planes.map(() => null) };
}

/** The places of missing images as [{step, channel}], channel as an index. */
export function gapsOf(sample) {
  return sample.planes.flatMap((plane, index) =>
    plane === null ? [{ step: Math.floor(index / CHANNELS.length), channel: index % CHANNELS.length }] : [],
  );
}
