// Make elements: text only through textContent, styles only through CSSOM, so that no text of a server
// or a file becomes markup, and a strict Content-Security-Policy is possible.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** Make an HTML element; `attributes` may hold `class`, `text`, `style` (an object) and `on`. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** Make an SVG element in the same way. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "text") node.textContent = value;
    else if (key === "style") setStyle(node, value);
    else if (key === "on") for (const [event, call] of Object.entries(value)) node.addEventListener(event, call);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Set styles one by one; names that begin with -- are custom properties. */
export function setStyle(node, styles) {
  for (const [key, value] of Object.entries(styles)) node.style.setProperty(key, value);
}

/** An entry of a legend: a sign, which has the class, and what it means. */
export const legendItem = (sign, text) => el("span", { class: "item" }, el("span", { class: sign }), text);

/** Text for screen readers only. */
export const visuallyHidden = (text) => el("span", { class: "visually-hidden", text });
