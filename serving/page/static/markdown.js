// The subset of Markdown that model cards use, as elements. Text stays text, links included, and never
// becomes markup.

import { el } from "./dom.js";

/** Turn Markdown into a list of elements; headings start at level 3, below the dialog's own. */
export function markdown(text) {
  const lines = text.replace(/\r/g, "").split("\n");
  const elements = [];
  let at = 0;
  const readWhile = (test) => {
    const result = [];
    while (at < lines.length && test(lines[at])) result.push(lines[at++]);
    return result;
  };
  while (at < lines.length) {
    const line = lines[at];
    const heading = /^(#{1,6})\s+(.*)/.exec(line);
    if (line.trim() === "") at++;
    else if (heading) {
      elements.push(el(heading[1].length <= 2 ? "h3" : "h4", {}, ...inline(heading[2])));
      at++;
    } else if (line.startsWith("```")) {
      at++;
      elements.push(el("pre", { text: readWhile((one) => !one.startsWith("```")).join("\n") }));
      at++;
    } else if (/^\s*\|/.test(line)) elements.push(table(readWhile((one) => /^\s*\|/.test(one))));
    else if (/^\s*[-*] /.test(line)) elements.push(list(readWhile((one) => /^\s*[-*] /.test(one) || /^\s{2,}\S/.test(one))));
    else elements.push(el("p", {}, ...inline(readWhile(isProse).join(" "))));
  }
  return elements;
}

const isProse = (line) => line.trim() !== "" && !/^(#{1,6}\s|```|\s*\||\s*[-*] )/.test(line);

function list(lines) {
  const items = [];
  for (const line of lines) {
    if (/^\s*[-*] /.test(line)) items.push(line.replace(/^\s*[-*] /, ""));
    else items[items.length - 1] += ` ${line.trim()}`;
  }
  return el("ul", {}, ...items.map((item) => el("li", {}, ...inline(item))));
}

function table(lines) {
  const rows = lines
    .filter((line) => !/^\s*\|[\s:|-]+\|?\s*$/.test(line))
    .map((line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim()));
  const [head, ...body] = rows;
  return el(
    "div",
    { class: "wide" },
    el(
      "table",
      {},
      el("thead", {}, el("tr", {}, ...head.map((cell) => el("th", { scope: "col" }, ...inline(cell))))),
      el("tbody", {}, ...body.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, ...inline(cell)))))),
    ),
  );
}

/** Bold and code; everything else unchanged. */
function inline(text) {
  return text
    .split(/(\*\*[^*]+\*\*|`[^`]+`)/)
    .filter(Boolean)
    .map((part) => {
      if (/^\*\*[^*]+\*\*$/.test(part)) return el("strong", { text: part.slice(2, -2) });
      if (/^`[^`]+`$/.test(part)) return el("code", { text: part.slice(1, -1) });
      return document.createTextNode(part);
    });
}
