/* The small charts: PCC with intervals and ceiling, scores by level, the confusion table. */
import { draw, scale } from "./svg.js";

const WIDTH = 400;
const HEIGHT = 128;

function cleared(svg) {
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.replaceChildren();
  return svg;
}

/* PCC of both parts on one axis; it reaches below 0 only where a figure does. */
export function ranges(svg, { dev, held, ceiling }) {
  cleared(svg);
  const parts = [[dev?.figures.pcc, "", "dev"], [held?.figures.pcc, "held-out", "held out"]];
  const least = Math.min(0, ...parts.map(([figure]) => figure?.low ?? figure?.value ?? 0));
  const bottom = Math.floor(least * 4) / 4;
  const x = scale([bottom, 1], [60, WIDTH - 12]);
  for (let mark = bottom; mark <= 1.001; mark += 0.25) {
    draw(svg, "line", { class: "grid", x1: x(mark), x2: x(mark), y1: 8, y2: HEIGHT - 22 });
    draw(svg, "text", { x: x(mark), y: HEIGHT - 6, "text-anchor": "middle" }, mark.toFixed(2));
  }
  if (typeof ceiling?.value === "number") draw(svg, "line", { class: "ceiling", x1: x(ceiling.value), x2: x(ceiling.value), y1: 4, y2: HEIGHT - 22 });
  parts.forEach(([figure, kind, label], row) => {
    const y = 32 + 44 * row;
    draw(svg, "text", { x: 52, y: y + 4, "text-anchor": "end" }, label);
    if (typeof figure?.value !== "number") return;
    if (typeof figure.low === "number") draw(svg, "line", { class: `range ${kind}`, x1: x(figure.low), x2: x(figure.high), y1: y, y2: y });
    draw(svg, "circle", { class: `dot ${kind}`, cx: x(figure.value), cy: y, r: 5 });
  });
}

export function histogram(svg, part) {
  cleared(svg);
  if (!part?.n) return;
  const { levels, confusion } = part;
  const people = confusion.map((row) => row.reduce((sum, count) => sum + count, 0));
  const judge = levels.map((_level, column) => confusion.reduce((sum, row) => sum + row[column], 0));
  const y = scale([0, Math.max(...people, ...judge)], [0, HEIGHT - 36]);
  const step = (WIDTH - 20) / levels.length;
  levels.forEach((level, place) => {
    const left = 10 + step * place;
    for (const [kind, counts, shift] of [["people", people, 0.12], ["judge", judge, 0.52]]) {
      const height = y(counts[place]);
      draw(svg, "rect", { class: kind, x: left + step * shift, y: HEIGHT - 18 - height, width: step * 0.36, height });
      if (counts[place]) draw(svg, "text", { x: left + step * (shift + 0.18), y: HEIGHT - 21 - height, "text-anchor": "middle" }, counts[place]);
    }
    draw(svg, "text", { x: left + step / 2, y: HEIGHT - 4, "text-anchor": "middle" }, level);
  });
}

export function confusion(table, part) {
  table.replaceChildren();
  if (!part?.n) return;
  const most = Math.max(...part.confusion.flat());
  const cell = (row, name, words, kind = "") => {
    const made = document.createElement(name);
    made.textContent = words;
    if (kind) made.className = kind;
    if (name === "th") made.scope = row.children.length ? "col" : "row";
    row.append(made);
  };
  const head = table.createTHead().insertRow();
  cell(head, "th", `${table.dataset.people} ↓ ${table.dataset.judge} →`);
  for (const level of part.levels) cell(head, "th", level);
  const body = table.createTBody();
  part.confusion.forEach((counts, place) => {
    const row = body.insertRow();
    cell(row, "th", part.levels[place]);
    counts.forEach((count, column) => {
      const shade = count ? `shade-${count > most / 2 ? 3 : count > most / 6 ? 2 : 1}` : "";
      cell(row, "td", count || "·", `${shade} ${column === place ? "diagonal" : ""}`.trim());
    });
  });
}
