// What went wrong with a sample, and what to do about it.

import * as api from "./api.js";
import { el } from "./dom.js";
import { sentence } from "./goes.js";
import { Refused } from "./reading.js";

const TITLES = {
  0: "No connection",
  400: "The file is damaged",
  401: "An API key is needed",
  403: "The API key was not accepted",
  408: "The upload took too long",
  413: "The upload is too large",
  415: "The file is of the wrong type",
  422: "This file is not a usable sample",
  429: "Too many requests",
  500: "The server failed",
  503: "The server is not ready",
};

/** A failure as an element that names the file; `again`: what "Try again" does, or null. */
export function problemOf(error, name, again) {
  const local = error instanceof Refused;
  if (!local && !(error instanceof api.Failure)) console.error(error);
  const title = local ? "These files cannot be used" : (TITLES[error.status] ?? "The forecast failed");
  const ofFile = local || [400, 413, 415, 422].includes(error.status);
  const detail = local || error instanceof api.Failure ? error.message : `The page failed: ${error.message}`;
  const parts = [el("p", { class: "problem-title", text: ofFile && name ? `${name}: ${title[0].toLowerCase()}${title.slice(1)}` : title }), el("p", { text: sentence(detail) })];
  if (error.hint && error.status !== 401) parts.push(el("p", { class: "hint", text: sentence(error.hint) }));
  if (error.retryAfter) parts.push(el("p", { class: "hint", text: `Try again in ${error.retryAfter} s.` }));
  if (error.requestId) parts.push(el("p", { class: "small", text: `Request ${error.requestId}` }));
  if (!local && [0, 408, 429, 500, 503].includes(error.status) && again) {
    parts.push(el("button", { type: "button", text: "Try again", on: { click: again } }));
  }
  return el("div", { class: "problem" }, ...parts);
}
