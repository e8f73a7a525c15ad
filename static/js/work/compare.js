/* The stage: the pictures in their panes, and every way to compare them. All panes share zoom and offset.

   Each use of a tool is reported to the page, which logs it with the judgement. */
import { GAINS } from "./heat.js";
import { attachGestures } from "./gestures.js";
import { h, preference } from "./dom.js";
import { Pane } from "./pane.js";
import { t } from "./text.js";
import { Toolbar } from "./toolbar.js";
import { basePixel, clampOffset, isSmall, nextStop, placement, zoomOffset, zoomStep } from "./view_math.js";

const PAN_STEP = 48;
const WIPE_STEP = 0.02;
const ZOOM_LOG_DELAY = 800;

export class Compare {
  /** @param {HTMLElement} root the stage
   * @param {{onUse: (tool: string, details: object) => void, say: (text: string) => void}} page */
  constructor(root, { onUse, say }) {
    Object.assign(this, { root, onUse, say });
    this.beside = true;
    this.panes = [];
    this.shown = "own";
    this.wipe = null;
    this.gain = 0;
    this.differenceHere = true;
    this.deliberate = false;
    this.offset = { x: 0, y: 0 };
    this.pixel = null; // null: fitted
    this.grid = h("div", { class: "panes" });
    this.toolbar = new Toolbar(this);
    root.replaceChildren(this.grid, this.toolbar.element);
    new ResizeObserver(() => this.draw()).observe(this.grid);
  }

  /** Shows a source and one or two edits.
   * @param {{source: HTMLImageElement, edits: {letter, label, image}[], reset: boolean}} scene
   *   reset: a new item, so that it lies where every item lies, with no tool left on */
  async show({ source, edits, reset }) {
    this.letters = edits.map(({ letter }) => letter);
    this.#arrange(edits.length);
    const sourcePane = this.panes.find(({ role }) => role === "source");
    const editPanes = this.panes.filter(({ role }) => role === "edit");
    const fills = editPanes.map((pane, index) => {
      const other = edits.length === 2 ? edits[1 - index] : null;
      const label = { own: edits[index].label, other: other?.label };
      return pane.fill({ label, own: edits[index].image, source, other: other?.image });
    });
    const ticket = (this.ticket = Symbol("show"));
    await Promise.all([...fills, sourcePane.fill({ label: { own: t("source") }, own: source })]);
    if (ticket !== this.ticket) return;
    this.image = { width: source.naturalWidth, height: source.naturalHeight };
    if (reset) this.reset();
    this.draw();
  }

  /** Source and edit, or edit, source, edit: the same panes stay in their places from item to item. */
  #arrange(count) {
    if (this.panes.length === count + 1) return;
    const roles = count === 1 ? ["source", "edit"] : ["edit", "source", "edit"];
    this.panes = roles.map((role) => new Pane(role));
    for (const pane of this.panes) attachGestures(pane, this);
    this.grid.replaceChildren(...this.panes.map(({ element }) => element));
    this.grid.dataset.edits = count;
    this.toolbar.setPair(count === 2);
    this.beside = preference.read(`beside.${count}`, true);
  }

  reset() {
    clearTimeout(this.zoomTimer); // It would be logged with the next item.
    this.shown = "own";
    this.wipe = null;
    this.gain = 0;
    this.deliberate = false;
    this.fit();
  }

  fit() {
    this.pixel = null;
    this.offset = { x: 0, y: 0 };
  }

  get paneSize() {
    const visible = this.panes.find(({ size }) => size.width > 0);
    return visible?.size ?? { width: 1, height: 1 };
  }

  get base() {
    return basePixel(this.image, this.paneSize);
  }

  get zoomed() {
    return this.image !== undefined && this.pixel !== null && this.pixel > this.base * 1.001;
  }

  draw() {
    this.grid.classList.toggle("alone", !this.beside);
    if (!this.image) return;
    const pane = this.paneSize;
    const pixel = this.zoomed ? this.pixel : this.base;
    this.offset = clampOffset(this.offset, pixel, this.image, pane);
    this.place = placement(this.offset, pixel, this.image, pane);
    const scene = {
      shown: this.shown,
      wipe: this.wipe,
      gain: this.gain,
      place: this.place,
      pixelated: isSmall(this.image) || pixel >= 3,
    };
    for (const one of this.panes) one.draw(scene);
    this.grid.classList.toggle("zoomed", this.zoomed);
    this.toolbar.update({ pixel });
  }

  #log(tool, details = {}) {
    this.onUse(tool, { letters: this.letters, ...details });
  }

  /** Source in the edits' place while held. */
  hold(on) {
    this.#peek(on, "source", "hold");
  }

  /** The two edits of a duel in each other's place while held. */
  swap(on) {
    if (this.letters?.length === 2) this.#peek(on, "other", "swap");
  }

  #peek(on, shown, which) {
    if (on === (this.shown === shown)) return;
    if (on) this.heldSince = performance.now();
    else this.#log("hold", { which, ms: Math.round(performance.now() - this.heldSince) });
    this.shown = on ? shown : "own";
    this.draw();
  }

  toggleWipe() {
    this.wipe = this.wipe === null ? 0.5 : null;
    this.gain = 0;
    if (this.wipe !== null) this.#log("wipe");
    this.draw();
  }

  wipeTo(share) {
    if (this.wipe === null) return;
    this.wipe = Math.min(1, Math.max(0, share));
    this.draw();
  }

  edgeOf() {
    return this.place.left + this.place.width * (this.wipe ?? 0);
  }

  shareAt(_pane, x) {
    return (x - this.place.left) / this.place.width;
  }

  /** Whether the difference map is offered for the dimension in hand. */
  setDifference(here) {
    this.differenceHere = here;
    if (!here && !this.deliberate && this.gain) {
      this.gain = 0;
      this.draw();
    }
  }

  cycleDifference() {
    if (!this.differenceHere && !this.deliberate) {
      this.say(t("differenceOff"));
      return;
    }
    this.gain = [0, ...GAINS][(GAINS.indexOf(this.gain) + 2) % (GAINS.length + 1)];
    this.wipe = null;
    if (this.gain) this.#log("difference", { gain: this.gain, deliberate: !this.differenceHere });
    this.draw();
  }

  /** Shift+D: turns the map on for this item although the dimension does not offer it. */
  allowDifference() {
    if (!this.differenceHere && !this.deliberate) {
      this.deliberate = true;
      this.say(t("differenceOn"));
    }
    this.cycleDifference();
  }

  cycleZoom() {
    const pixel = nextStop(this.zoomed ? this.pixel : this.base, this.image, this.paneSize);
    this.#zoom(pixel, { x: 0, y: 0 });
  }

  zoomBy(direction, point) {
    if (!this.image) return;
    this.#zoom(zoomStep(this.zoomed ? this.pixel : this.base, direction, this.image, this.paneSize), point);
  }

  /** Pinch: zooms by a ratio; small pictures keep to whole factors. */
  zoomTo(ratio, point) {
    if (!this.image) return;
    const wanted = (this.zoomed ? this.pixel : this.base) * ratio;
    const most = zoomStep(Infinity, 1, this.image, this.paneSize);
    this.#zoom(Math.min(most, Math.max(this.base, isSmall(this.image) ? Math.round(wanted) : wanted)), point);
  }

  #zoom(pixel, point) {
    const from = this.zoomed ? this.pixel : this.base;
    this.offset = pixel <= this.base ? { x: 0, y: 0 } : zoomOffset(this.offset, from, pixel, point);
    this.pixel = pixel;
    this.draw();
    clearTimeout(this.zoomTimer);
    this.zoomTimer = setTimeout(
      () => this.#log("zoom", { pixel: Math.round(this.pixel * 1000) / 1000 }),
      ZOOM_LOG_DELAY,
    );
  }

  panBy(dx, dy) {
    if (!this.zoomed) return;
    this.offset = { x: this.offset.x + dx, y: this.offset.y + dy };
    this.draw();
  }

  /** A key's step: moves the window over the picture, or the wipe where nothing is zoomed. */
  panKey(dx, dy) {
    if (this.wipe !== null && !this.zoomed) this.wipeTo(this.wipe + dx * WIPE_STEP);
    else this.panBy(-dx * PAN_STEP, -dy * PAN_STEP);
  }

  toggleView() {
    this.beside = !this.beside;
    preference.write(`beside.${this.letters.length}`, this.beside);
    this.draw();
  }

  /** Runs an action of the key table. @returns {boolean} whether it was one of the stage's */
  act(action) {
    const actions = {
      hold: () => this.hold(true),
      swap: () => this.swap(true),
      wipe: () => this.toggleWipe(),
      difference: () => this.cycleDifference(),
      allowDifference: () => this.allowDifference(),
      zoom: () => this.cycleZoom(),
      zoomIn: () => this.zoomBy(1),
      zoomOut: () => this.zoomBy(-1),
      panLeft: () => this.panKey(-1, 0),
      panRight: () => this.panKey(1, 0),
      panUp: () => this.panKey(0, -1),
      panDown: () => this.panKey(0, 1),
      view: () => this.toggleView(),
    };
    if (!this.image || !(action in actions)) return false;
    actions[action]();
    return true;
  }
}
