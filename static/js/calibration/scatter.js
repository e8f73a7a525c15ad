/* The scatter: people across, judge up, the diagonal, and a brush that chooses points. */
import { draw, scale } from "./svg.js";

const SIDE = 400;
const EDGE = 28;

export class Scatter {
  #from = null;

  /* `chosen` is called with the candidates' keys of a brush. */
  constructor(svg, low, high, chosen) {
    Object.assign(this, { svg, low, high, chosen, points: [], keys: new Set() });
    svg.setAttribute("viewBox", `0 0 ${SIDE} ${SIDE}`);
    const margin = (high - low) * 0.04;
    this.x = scale([low - margin, high + margin], [EDGE, SIDE - 6]);
    this.y = scale([low - margin, high + margin], [SIDE - EDGE, 6]);
    this.#frame();
    this.dots = draw(svg, "g", {});
    this.brush = draw(svg, "rect", { class: "brush", visibility: "hidden" });
    svg.addEventListener("pointerdown", (event) => this.#begin(event));
    svg.addEventListener("pointermove", (event) => this.#drag(event));
    svg.addEventListener("pointerup", (event) => this.#end(event));
    svg.addEventListener("pointercancel", () => this.#clear());
  }

  show(points) {
    this.points = points;
    this.dots.replaceChildren();
    for (const [key, human, scorer, , held] of points) {
      const kind = this.keys.has(key) ? "chosen" : held ? "held" : "dev";
      draw(this.dots, "circle", { class: kind, cx: this.x(human), cy: this.y(scorer), r: 4 });
    }
  }

  forget() {
    this.keys = new Set();
    this.show(this.points);
  }

  #frame() {
    for (let level = this.low; level <= this.high; level++) {
      draw(this.svg, "line", { class: "grid", x1: this.x(level), x2: this.x(level), y1: 6, y2: SIDE - EDGE });
      draw(this.svg, "line", { class: "grid", x1: EDGE, x2: SIDE - 6, y1: this.y(level), y2: this.y(level) });
      draw(this.svg, "text", { x: this.x(level), y: SIDE - 10, "text-anchor": "middle" }, level);
      draw(this.svg, "text", { x: EDGE - 8, y: this.y(level) + 4, "text-anchor": "end" }, level);
    }
    const [low, high] = [this.low, this.high];
    draw(this.svg, "line", { class: "diagonal", x1: this.x(low), y1: this.y(low), x2: this.x(high), y2: this.y(high) });
  }

  #place(event) {
    const box = this.svg.getBoundingClientRect();
    const unit = SIDE / Math.min(box.width, box.height); // the picture keeps its aspect inside the box
    const left = (box.width - SIDE / unit) / 2;
    const top = (box.height - SIDE / unit) / 2;
    return [(event.clientX - box.left - left) * unit, (event.clientY - box.top - top) * unit];
  }

  #begin(event) {
    this.#from = this.#place(event);
    this.svg.setPointerCapture(event.pointerId);
  }

  #drag(event) {
    if (!this.#from) return;
    const [x, y, width, height] = this.#box(this.#place(event));
    for (const [name, value] of Object.entries({ x, y, width, height, visibility: "visible" })) this.brush.setAttribute(name, value);
  }

  #end(event) {
    if (!this.#from) return;
    const [x, y, width, height] = this.#box(this.#place(event), 5); // a click is a small brush
    this.#clear();
    const inside = ([, human, scorer]) =>
      this.x(human) >= x && this.x(human) <= x + width && this.y(scorer) >= y && this.y(scorer) <= y + height;
    const keys = this.points.filter(inside).map(([key]) => key);
    this.keys = new Set(keys);
    this.show(this.points);
    this.chosen(keys);
  }

  #box([x, y], least = 0) {
    const [left, top] = [Math.min(x, this.#from[0]), Math.min(y, this.#from[1])];
    return [left - least, top - least, Math.abs(x - this.#from[0]) + 2 * least, Math.abs(y - this.#from[1]) + 2 * least];
  }

  #clear() {
    this.#from = null;
    this.brush.setAttribute("visibility", "hidden");
  }
}
