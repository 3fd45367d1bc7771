// The page as a whole: files come in, the server answers, the parts are shown.

import * as api from "./api.js";
import { byId, el } from "./dom.js";
import { answerOf, showForecast, wordsOf } from "./forecast.js";
import { percent, utc } from "./goes.js";
import { gapsText, showGrid } from "./grid.js";
import { showHistory } from "./history.js";
import { illustrate } from "./illustration.js";
import { setUpCard, showModel, showState } from "./model.js";
import { Unreadable } from "./npy.js";
import { droppedFiles, kindOf, readSample, Refused } from "./reading.js";
import { CHANNELS, COUNT, SIZE } from "./sample.js";
import { problemOf } from "./problem.js";
import { openViewer, setUpViewer } from "./viewer.js";
import { watch } from "./watch.js";
import { versionButtons } from "./versions.js";
import { offerWhy } from "./why.js";

const TITLE = document.title;

const state = {
  health: null,
  model: null,
  described: null, // the version that the model panel shows
  answer: null, // the forecast on the screen
  sent: null, // what it was made from: {kind, files, sample}; null for a stored one
  other: null, // another version's forecast of the same sample, shown for comparison
  history: [], // the forecasts that are listed
  running: null, // AbortController of the forecast in progress
  polls: 0, // answered requests for /health
  newest: undefined, // id of the newest forecast in the history that is shown
  historyAsked: 0,
  again: null, // what to do once the user has entered a key, or on "Try again"
};

// --- a sample comes in ------------------------------------------------------------------------

async function take(getFiles, name) {
  state.running?.abort();
  const controller = (state.running = new AbortController());
  const current = () => state.running === controller;
  state.again = () => take(getFiles, name);
  clearProblem();
  busy(true, name);
  try {
    const files = await getFiles();
    const { kind, files: chosen, left } = await kindOf(files);
    const [sample, answer] = await Promise.all([
      readSample(kind, chosen).catch((error) => error),
      api.predict(kind, chosen, controller.signal),
    ]);
    if (current()) showAnswer(answer, sample, { name, left, kind, files: chosen });
  } catch (error) {
    if (current() && error.name !== "AbortError") showProblem(error, name);
  } finally {
    if (current()) {
      state.running = null;
      busy(false);
    }
  }
}

const nameOfFiles = (files) => (files.length === 1 ? files[0].name : `${files.length} files`);

function takeFiles(files) {
  if (files.length > 0) take(async () => files, nameOfFiles(files));
}

function takeExample() {
  take(async () => [new File([await api.example()], "sample.npy")], "the example");
}

function reset() {
  state.running?.abort();
  state.running = state.answer = state.again = state.sent = state.other = null;
  clearProblem();
  notice(null);
  for (const id of ["forecast", "images", "why", "reset"]) byId(id).hidden = true;
  byId("about").hidden = false;
  forgetLink();
  byId("sample").classList.remove("done");
  byId("drop-title").textContent = "Drop a sample here";
  byId("drop-text").hidden = false;
  document.title = TITLE;
  byId("spoken").textContent = "The forecast was removed.";
  byId("choose").focus();
}

function busy(yes, name = "") {
  byId("sample").setAttribute("aria-busy", String(yes));
  byId("progress").hidden = !yes;
  if (yes) {
    byId("drop-title").textContent = `Forecasting from ${name}`;
    byId("spoken").textContent = `Forecasting from ${name}`;
  } else if (!state.answer) byId("drop-title").textContent = "Drop a sample here";
  else byId("drop-title").textContent = `Forecast from ${state.answer.from}`;
}

// --- what comes back --------------------------------------------------------------------------

function showAnswer(answer, sample, { name, left, kind, files }) {
  forgetLink();
  state.sent = { kind, files, sample: sample instanceof Error ? null : sample };
  openForecast({ ...answer, from: name }, `${answer.model_name} version ${answer.model_version}, ${utc(new Date())}`);
  showImages(sample, answer, left);
  offerWhy(state.sent, () => state.sent, imageSize);
  speak(answer, byId("images-note").textContent);
  refreshHistory({ changed: true });
}

/** Show a forecast in its card, whether it was just made or is a stored one. */
function openForecast(answer, of) {
  state.answer = answer;
  state.other = null;
  byId("sample").classList.add("done");
  byId("drop-title").textContent = `Forecast from ${answer.from}`;
  for (const id of ["drop-text", "about"]) byId(id).hidden = true;
  for (const id of ["reset", "forecast"]) byId(id).hidden = false;
  stale(false);
  document.title = `${percent(answer.mx_probability)} for M1+ \u2013 ${TITLE}`;
  byId("forecast-of").textContent = of;
  drawForecast();
  byId("forecast").scrollIntoView({ block: "nearest" });
  compareVersions();
}

function speak(answer, further) {
  byId("spoken").textContent = `${answer.synthetic ? "Synthetic model. " : ""}${wordsOf(answer, ratesOf(answer)).join(" ")} ${further}`;
}

const describes = (answer) => state.model !== null && String(state.model.version) === String(answer.model_version);
const ratesOf = (answer) => (describes(answer) ? (state.model.base_rates ?? {}) : {});

function drawForecast() {
  const { answer, other } = state;
  if (!answer) return;
  const known = describes(answer) ? { bins: state.model.reliability, scoredOn: state.model.scores_on } : {};
  showForecast(byId("forecast-body"), answer, { rates: ratesOf(answer), ...known, other });
  offerVersions();
}

function offerVersions() {
  const choose = (one) => {
    state.other = one;
    drawForecast();
  };
  byId("forecast-compare").replaceChildren(...versionButtons(state.answer, state.history, state.other, choose));
}

// --- a stored forecast, by its link -----------------------------------------------------------

const linked = () => Number(/^#forecast-(\d+)$/.exec(location.hash)?.[1] ?? 0);

function forgetLink() {
  if (linked()) history.replaceState(null, "", location.pathname);
}

async function openLinked() {
  const id = linked();
  if (!id) return;
  try {
    const row = await api.stored(id);
    if (linked() !== id) return;
    if (row === null) throw new Refused("This forecast is not stored any more.", "Choose one of the recent forecasts below.");
    clearProblem();
    state.running?.abort();
    state.sent = state.again = null;
    for (const part of ["images", "why"]) byId(part).hidden = true;
    openForecast({ ...answerOf(row, state.model, describes(row)), from: `the history, number ${id}` }, `${row.model_name} version ${row.model_version}, made ${utc(row.time)}; its images are not stored`);
    speak(state.answer, "");
    byId("forecast-title").focus({ preventScroll: true });
  } catch (error) {
    showProblem(error, `forecast ${id}`);
  }
}

/** The edge of the images that the model sees, in pixels. */
const imageSize = () => state.model?.image_size ?? SIZE;

function showImages(sample, answer, left) {
  byId("images").hidden = false;
  const notes = [];
  if (sample instanceof Error) {
    byId("grid").replaceChildren();
    const why = sample instanceof Unreadable ? sample.message : "this browser cannot read its format";
    notes.push(`The server read this sample, but the page cannot show it: ${why}.`);
  } else {
    for (const { step, channel } of answer.missing ?? []) {
      const index = step * CHANNELS.length + CHANNELS.indexOf(channel);
      if (index in sample.planes) sample.planes[index] = null;
    }
    showGrid(byId("grid"), sample, imageSize(), (index) => openViewer(sample, index));
    notes.push(`${imageSize()} \u00d7 ${imageSize()} pixels each. ${gapsText(sample)}`);
    const present = sample.planes.filter((plane) => plane !== null).length;
    if (answer.missing_images !== COUNT - present) notes.push(`The server counted ${answer.missing_images} missing images.`);
  }
  const out = (answer.left_out ?? []).map(({ file, reason }) => `${file} (${reason})`);
  if (out.length > 0) notes.push(`Left out: ${out.slice(0, 3).join(", ")}${out.length > 3 ? `, and ${out.length - 3} more` : ""}.`);
  if (left.length > 0) notes.push(`${left.length} images of 1600 \u00c5 were left out.`);
  byId("images-note").textContent = notes.join(" ");
  document.querySelector(".hint-keys").hidden = sample instanceof Error;
}

// --- problems ---------------------------------------------------------------------------------

/** Dim what is shown of an earlier file, and say so. */
function stale(yes) {
  for (const id of ["forecast", "images", "why"]) byId(id).classList.toggle("stale", yes);
  byId("stale").hidden = !yes;
  byId("stale").textContent = yes ? `This is still the forecast from ${state.answer.from}.` : "";
}

function showProblem(error, name) {
  byId("alert").replaceChildren(problemOf(error, name, state.again));
  stale(state.answer !== null);
  byId("alert").scrollIntoView({ block: "nearest" });
  if (error.status === 401 || (error.status === 403 && api.hasKey())) askForKey();
}

function clearProblem() {
  if (state.answer) stale(false);
  byId("alert").replaceChildren();
  byId("key-form").hidden = true;
}

function askForKey() {
  byId("key-form").hidden = false;
  byId("key").focus();
}

// --- the model and its history ----------------------------------------------------------------

const HISTORY_EVERY = 6; // requests for /health

async function showHealth(health, failure) {
  showState(health ?? state.health, failure);
  if (failure) return;
  state.health = health;
  if (++state.polls % HISTORY_EVERY === 0) refreshHistory(); // other clients use this server too
  const name = `${health.model_name} ${health.model_version}`;
  if (state.described === name) return;
  state.described = name;
  try {
    const model = health.model_loaded ? await api.model() : null;
    if (state.described !== name) return; // there is another one since then
    state.model = model;
  } catch (error) {
    if (state.described !== name) return;
    state.model = null;
    if (error.status === 0 || error.status >= 500) state.described = null; // ask again
    if (error.status === 401) byId("key-form").hidden = false;
  }
  showModel(byId("model-body"), state.model, health);
  if (linked() && !state.answer) openLinked();
  drawForecast();
  compareVersions();
}

function compareVersions() {
  const live = state.health?.model_version;
  const shown = state.answer?.model_version;
  if (!live || !shown || String(live) === String(shown)) return notice(null);
  return notice(`Version ${live} is live now; the forecast shown is from version ${shown}.`);
}

function notice(text) {
  const place = byId("notice");
  if (place.dataset.text === (text ?? "")) return;
  place.dataset.text = text ?? "";
  if (text === null) return place.replaceChildren();
  const again = el("button", { type: "button", text: "Forecast again", on: { click: () => state.again?.() } });
  place.replaceChildren(el("p", { text }), again);
}

const LATER = [200, 500, 1000, 2000]; // milliseconds

/** Show the history; `changed`: a new forecast was made; the server stores it soon after. */
async function refreshHistory({ changed = false } = {}) {
  const request = (state.historyAsked += 1);
  try {
    let page = await api.history();
    for (const wait of changed ? LATER : []) {
      if (page.kept === 0 || page.forecasts[0]?.id !== state.newest) break;
      await new Promise((resolve) => setTimeout(resolve, wait));
      page = await api.history();
    }
    if (request !== state.historyAsked) return; // a later request has a newer answer
    if (page.kept === 0) throw new api.Failure(404);
    const newest = page.forecasts[0]?.id ?? null;
    if (newest !== null && newest === state.newest) return; // as it is shown
    state.newest = newest ?? undefined;
    state.history = page.forecasts;
    if (state.answer) offerVersions();
    showHistory(byId("history-body"), byId("history-note"), page.forecasts);
  } catch (error) {
    if (request !== state.historyAsked) return;
    state.newest = undefined;
    const known = { 401: "Enter the API key to see them.", 404: "This server stores no history." };
    const text = known[error.status] ?? `The history cannot be shown: ${error.message}`;
    byId("history-note").textContent = "";
    byId("history-body").replaceChildren(el("p", { class: "small empty", text }));
  }
}

// --- wiring -----------------------------------------------------------------------------------

function setUpDrop() {
  const input = byId("files");
  byId("choose").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    takeFiles([...input.files]);
    input.value = ""; // so that the same file can be chosen again
  });
  let depth = 0; // of dragenter and dragleave, which elements inside send too
  const mark = (by) => {
    depth = Math.max(0, by === 0 ? 0 : depth + by);
    byId("drop").classList.toggle("over", depth > 0);
  };
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener("dragenter", (event) => carries(event) && mark(1));
  document.addEventListener("dragleave", (event) => carries(event) && mark(-1));
  document.addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  document.addEventListener("drop", async (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    mark(0);
    takeFiles(await droppedFiles(event.dataTransfer));
  });
}

illustrate(byId("mosaic"));
setUpDrop();
setUpViewer();
setUpCard();
byId("example").addEventListener("click", takeExample);
byId("reset").addEventListener("click", reset);
window.addEventListener("hashchange", openLinked);
const pollNow = watch(showHealth);
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.useKey(byId("key").value);
  byId("key").value = "";
  byId("key-form").hidden = true;
  state.described = null;
  pollNow();
  refreshHistory();
  state.again?.();
});
refreshHistory();
