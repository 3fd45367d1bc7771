// Recent forecasts as a plot over the time of their issue, and as a table; each leads to its answer.

import { el, legendItem, svg } from "./dom.js";
import { BANDS, classOf, percent, placeOf, utc } from "./goes.js";

const HEIGHT = 260;
const MARGIN = { top: 14, right: 16, bottom: 30, left: 34 };
const HUES = 4; // of versions, which style.css names
const ROWS = 50; // of the table

let plotted = null; // drawn again at another width

/** Fill `place` with forecasts, the newest first. */
export function showHistory(place, note, forecasts) {
  plotted?.observer.disconnect();
  plotted = null;
  if (forecasts.length === 0) {
    note.textContent = "";
    place.replaceChildren(el("p", { class: "small empty", text: "No forecasts yet. Every forecast of this server appears here." }));
    return;
  }
  const items = [...forecasts].map((one) => ({ ...one, at: issueTime(one).getTime() })).sort((a, b) => a.at - b.at || a.id - b.id);
  const versions = [...new Set(items.map(({ model_version: version }) => version))];
  const alerts = items.filter(({ alert }) => alert).length;
  note.textContent = `${items.length === 1 ? "1 forecast" : `${items.length} forecasts`}, ${alerts === 1 ? "1 alert" : `${alerts} alerts`}`;
  const frame = el("div", { class: "plot" });
  const before = place.querySelector("details");
  const [open, focused] = [before?.open, before?.contains(document.activeElement)];
  place.replaceChildren(frame, legend(versions), table(forecasts));
  const after = place.querySelector("details");
  if (open) after.open = true;
  if (focused) after.querySelector("summary").focus();
  const draw = () => frame.replaceChildren(plot(items, versions, Math.max(280, frame.clientWidth)));
  let width = 0;
  const observer = new ResizeObserver(() => {
    if (frame.clientWidth !== width) {
      width = frame.clientWidth;
      draw();
    }
  });
  observer.observe(frame);
  plotted = { observer };
}

/** When a forecast was issued; servers of before know only when it was made. */
const issueTime = (one) => new Date(one.issue_time ?? one.time);

const JITTER = 9; // pixels between forecasts of one time, as a batch has them
const WIDEST = 70; // pixels that they are spread over

/** Offsets in pixels, by forecast: those that were issued at one time lie next to each other. */
function jittered(items) {
  const groups = Map.groupBy ? Map.groupBy(items, ({ at }) => at) : grouped(items);
  const offsets = new Map();
  for (const group of groups.values()) {
    const step = Math.min(JITTER, WIDEST / group.length);
    group.forEach((one, place) => offsets.set(one.id, (place - (group.length - 1) / 2) * step));
  }
  return offsets;
}

function grouped(items) {
  const groups = new Map();
  for (const one of items) groups.set(one.at, [...(groups.get(one.at) ?? []), one]);
  return groups;
}

/** The address of a stored answer on this page. */
const linkOf = (one) => `#forecast-${one.id}`;

const hueOf = (versions, version) => `hue-${versions.indexOf(version) % HUES}`;

function plot(items, versions, width) {
  const right = width - MARGIN.right;
  const bottom = HEIGHT - MARGIN.bottom;
  const y = (flux) => bottom - placeOf(flux) * (bottom - MARGIN.top);
  const offsets = jittered(items);
  const room = 12 + Math.max(...[...offsets.values()].map(Math.abs));
  const { x, ticks } = timeAxis(items, MARGIN.left + room, right - room);
  const newest = items[items.length - 1];
  const label = `Forecast peak flux with its interval over the time of issue. ${items.length} forecasts from ${utc(issueTime(items[0]))} to ${utc(issueTime(newest))}; the newest is ${newest.goes_class}. The table below has all numbers.`;
  const bands = BANDS.map(({ letter, from, to }) => {
    const [top, base] = [y(10 ** to), y(10 ** from)];
    return svg(
      "g",
      {},
      svg("rect", { class: `zone class-${letter}`, x: MARGIN.left, y: top, width: right - MARGIN.left, height: base - top }),
      svg("text", { class: "letter", x: MARGIN.left - 12, y: (top + base) / 2, "text-anchor": "middle", "dominant-baseline": "central" , }, letter),
    );
  });
  const lines = BANDS.slice(1).map(({ from }) => svg("line", { class: "line", x1: MARGIN.left, x2: right, y1: y(10 ** from), y2: y(10 ** from) }));
  const times = ticks.map(({ at, text, anchor }) => svg("text", { class: "time", x: at, y: HEIGHT - 8, "text-anchor": anchor }, text));
  const marks = items.map((one) => mark(one, x(one) + offsets.get(one.id), y, hueOf(versions, one.model_version)));
  return svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": label }, ...bands, ...lines, ...times, ...marks);
}

function mark(one, x, y, hue) {
  const middle = y(one.peak_flux_w_m2);
  const region = one.active_region ? `NOAA ${one.active_region}, ` : "";
  const title = `${region}${utc(issueTime(one))}: ${one.goes_class}, M or X ${percent(one.mx_probability)}${one.alert ? ", alert" : ""}, version ${one.model_version}`;
  const shape = one.alert
    ? svg("path", { class: "dot alert", d: `M${x} ${middle - 8}l8 8l-8 8l-8 -8z` })
    : svg("circle", { class: "dot", cx: x, cy: middle, r: 4.5 });
  return svg(
    "a",
    { class: `mark ${hue}`, href: linkOf(one), tabindex: "-1" },
    svg("title", {}, title),
    svg("line", { class: "whisker", x1: x, x2: x, y1: y(one.flux_low_w_m2), y2: y(one.flux_high_w_m2) }),
    shape,
  );
}

const STRIDES = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000, 31536000];

function timeAxis(items, left, right) {
  const [first, last] = [items[0].at, items[items.length - 1].at];
  const span = last - first;
  if (!(span > 0)) {
    const middle = (left + right) / 2;
    return { x: () => middle, ticks: [{ at: middle, text: utc(issueTime(items[0])), anchor: "middle" }] };
  }
  const x = ({ at }) => left + ((at - first) / span) * (right - left);
  const most = Math.max(2, Math.floor((right - left) / 90));
  const stride = (STRIDES.find((seconds) => span / 1000 / seconds <= most) ?? STRIDES.at(-1)) * 1000;
  const ticks = [];
  for (let at = Math.ceil(first / stride) * stride; at <= last; at += stride) {
    const text = tickText(new Date(at), stride);
    const place = x({ at });
    if (place - (ticks.at(-1)?.at ?? -Infinity) < 60) continue; // years of dots on a short axis
    ticks.push({ at: place, text, anchor: place > right - 40 ? "end" : place < left + 40 ? "start" : "middle" });
  }
  return { x, ticks };
}

function tickText(time, stride) {
  const day = time.toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  if (stride >= 86400000) return stride >= 2592000000 ? `${day} ${time.getUTCFullYear()}` : day;
  const clock = time.toISOString().slice(11, stride < 60000 ? 19 : 16);
  return clock.startsWith("00:00") ? day : clock;
}

function legend(versions) {
  const shown = versions.slice(-HUES);
  return el(
    "p",
    { class: "small legend" },
    ...shown.map((version) => legendItem(`key-dot ${hueOf(versions, version)}`, `version ${version}`)),
    legendItem("key-alert", "alert"),
    legendItem("key-whisker", "interval; by time of issue, UTC; each mark leads to its answer"),
  );
}

function table(forecasts) {
  const head = ["Issued", "Region", "Peak", "Interval", "M or X", "Alert", "Version", "Missing"];
  const rows = forecasts.slice(0, ROWS).map((one) =>
    el(
      "tr",
      {},
      el("td", {}, el("a", { href: linkOf(one), text: utc(issueTime(one)) })),
      ...[
        one.active_region ?? "",
        one.goes_class,
        `${classOf(one.flux_low_w_m2)} to ${classOf(one.flux_high_w_m2)}`,
        percent(one.mx_probability),
        one.alert ? "alert" : "no",
        one.model_version,
        one.missing_images ?? "",
      ].map((text) => el("td", { text: String(text) })),
    ),
  );
  const more = forecasts.length > ROWS ? [el("p", { class: "small", text: `The newest ${ROWS} of ${forecasts.length}; GET /history has more.` })] : [];
  return el(
    "details",
    {},
    el("summary", { text: "Show as a table" }),
    el(
      "div",
      { class: "wide", tabindex: "0", role: "region", "aria-label": "Table of recent forecasts" },
      el(
        "table",
        { class: "log" },
        el("caption", { class: "visually-hidden", text: "Recent forecasts, the newest first" }),
        el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col", text })))),
        el("tbody", {}, ...rows),
      ),
    ),
    ...more,
  );
}
