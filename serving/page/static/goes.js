// GOES classes and the numbers of a forecast in words; the rules of flare/goes.py.

export const FLOORS = { A: 1e-8, B: 1e-7, C: 1e-6, M: 1e-5, X: 1e-4 };

/** Ends of the scale in log10 W m^-2. Below 1e-8 all is A; SDOBenchmark's "no flare" is 1e-9. */
export const SCALE = { low: -9, high: -3 };

/** From and to of each class on the scale, in log10 W m^-2. */
export const BANDS = [
  { letter: "A", from: -9, to: -7 },
  { letter: "B", from: -7, to: -6 },
  { letter: "C", from: -6, to: -5 },
  { letter: "M", from: -5, to: -4 },
  { letter: "X", from: -4, to: -3 },
];

const MINUS = "\u2212";
const NARROW = "\u202f"; // a thin space that does not break, between number and unit

/** The class letter of a peak flux in W m^-2. */
export function letterOf(flux) {
  return Object.keys(FLOORS).reduce((highest, letter) => (flux >= FLOORS[letter] ? letter : highest), "A");
}

/** The class with one digit, truncated as NOAA does: C5.7. */
export function classOf(flux) {
  const letter = letterOf(flux);
  let tenths = Math.floor((flux / FLOORS[letter]) * 10 + 1e-6);
  if (letter !== "X") tenths = Math.min(tenths, 99);
  return `${letter}${(tenths / 10).toFixed(1)}`;
}

/** Where a flux lies on the scale, 0..1, clipped to its ends. */
export function placeOf(flux) {
  const share = (Math.log10(flux) - SCALE.low) / (SCALE.high - SCALE.low);
  return Math.min(1, Math.max(0, share));
}

const SUPERSCRIPTS = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079";

/** A power of ten: 10 with -6 above it. */
export function power(exponent) {
  const digits = String(Math.abs(exponent)).replace(/\d/g, (digit) => SUPERSCRIPTS[digit]);
  return `10${exponent < 0 ? "\u207b" : ""}${digits}`;
}

/** A flux with two digits behind the point: 5.75 x 10^-6. */
export function fluxText(flux) {
  const [digits, exponent] = flux.toExponential(2).split("e");
  return `${digits}\u2009\u00d7\u2009${power(Number(exponent))}`;
}

export const UNIT = "W\u202fm\u207b\u00b2";

/** A probability in percent with two significant digits, near 100 those of what is missing; `digits` sets decimals. */
export function percent(share, digits = null) {
  const value = share * 100;
  if (digits !== null) return `${value.toFixed(digits)}${NARROW}%`;
  if (value > 0 && value < 0.0001) return `<${NARROW}0.0001${NARROW}%`;
  if (value > 99.9999 && value < 100) return `>${NARROW}99.9999${NARROW}%`;
  if (value === 0 || value === 100 || (value >= 9.95 && value <= 99)) return `${value.toFixed(0)}${NARROW}%`;
  if (value < 9.95) return `${value.toPrecision(2)}${NARROW}%`;
  return `${value.toFixed(Math.max(1, Math.ceil(-Math.log10(100 - value) - 1e-6)))}${NARROW}%`;
}

const PARTS = ["half", "a third", "a quarter", "a fifth", "a sixth", "a seventh", "an eighth", "a ninth", "a tenth"];

/** A probability against the usual one: "8 times the usual 5 %". */
export function againstUsual(share, rate) {
  const times = share / rate;
  const usual = `the usual ${percent(rate)}`;
  if (times >= 9.5) return `${Math.round(times).toLocaleString("en")} times ${usual}`;
  if (times >= 1.25) return `${Number(times.toPrecision(2))} times ${usual}`;
  if (times > 0.8) return `about ${usual}`;
  if (times > 0.095) return `${PARTS[Math.min(8, Math.max(0, Math.round(1 / times) - 2))]} of ${usual}`;
  return `less than a tenth of ${usual}`;
}

/** A contribution in probability points with its sign and two significant digits. */
export function points(value) {
  if (value === null || !Number.isFinite(value)) return "";
  if (Math.abs(value) < 0.0005) return "0";
  const text = Math.abs(value) >= 9.95 ? value.toFixed(0) : String(Number(value.toPrecision(2)));
  return value > 0 ? `+${text}` : text.replace("-", MINUS);
}

/** Two probabilities that are compared: with enough digits to see a difference. */
export function percents(one, other) {
  for (const digits of [null, 1, 2, 3]) {
    const both = [percent(one, digits), percent(other, digits)];
    if (both[0] !== both[1] || one === other) return both;
  }
  return [percent(one, 4), percent(other, 4)];
}

/** A score or another number with a real minus sign. */
export function number(value, digits = 2) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "\u2013";
  return value.toFixed(digits).replace("-", MINUS);
}

/** "M1.0" as text for people. */
export const orStronger = (event) => `${event.replace(/\.0$/, "")} or stronger`;

/** An ISO time as 2026-11-28 10:31 UTC. */
export function utc(time, { seconds = false } = {}) {
  const date = time instanceof Date ? time : new Date(time);
  if (Number.isNaN(date.getTime())) return String(time);
  return `${date.toISOString().slice(0, seconds ? 19 : 16).replace("T", " ")} UTC`;
}

/** A server's message as a sentence: with a capital, unless it begins with code. */
export const sentence = (text) => (/^[a-z]+[ ,]/.test(text) ? text[0].toUpperCase() + text.slice(1) : text);

/** A duration as text for people: 40 s, 5 min, 3 h, 2 days. */
export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)}${NARROW}s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)}${NARROW}min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)}${NARROW}h`;
  return `${Math.round(seconds / 86400)} days`;
}
