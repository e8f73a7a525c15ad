/* One pane of the stage: a picture, with the source (and in a duel the other edit) in the same place above it. */
import { drawHeat } from "./heat.js";
import { h } from "./dom.js";
import { copyOf } from "./images.js";
import { t } from "./text.js";

export class Pane {
  constructor(role) {
    this.role = role; // "source" or "edit"
    this.layer = h("div", { class: "layer" });
    this.handle = h("div", {
      class: "wipe-handle",
      role: "slider",
      tabindex: "0",
      "aria-label": t("wipePosition"),
      "aria-valuemin": "0",
      "aria-valuemax": "100",
      hidden: true,
    });
    this.view = h("div", { class: "view" }, this.layer, this.handle);
    this.caption = h("figcaption", {});
    this.element = h("figure", { class: "pane", "data-role": role }, this.caption, this.view);
    this.pictures = {};
  }

  get size() {
    return { width: this.view.clientWidth, height: this.view.clientHeight };
  }

  /** Shows pictures: own (the pane's own), source and other (each a decoded image or null). Resolves when they are
   * painted without a gap; an earlier call that is overtaken changes nothing. */
  async fill({ label, own, source = null, other = null }) {
    const ticket = (this.ticket = Symbol("fill"));
    const entries = Object.entries({ own, other, source }).filter(([, image]) => image);
    const copies = await Promise.all(entries.map(async ([name, image]) => [name, await copyOf(image)]));
    if (ticket !== this.ticket) return;
    this.pictures = Object.fromEntries(copies);
    this.label = label;
    this.heat = h("canvas", { class: "heat" });
    this.heatGain = 0;
    this.layer.replaceChildren(...copies.map(([, copy]) => copy), this.heat);
    this.view.setAttribute("role", "img");
  }

  /** Draws the pane. shown: "own", "source" or "other"; wipe: share of the width that shows the source, or null;
   * gain: of the difference map, 0 for none; place: rectangle of the picture in the pane. */
  draw({ shown, wipe, gain, place, pixelated }) {
    if (!this.pictures.own) return;
    const { source, other } = this.pictures;
    const showing = this.role === "edit" ? (this.pictures[shown] ? shown : "own") : "own";
    const wiping = this.role === "edit" && wipe !== null && showing === "own" && !gain;
    Object.assign(this.layer.style, {
      width: `${place.width}px`,
      height: `${place.height}px`,
      transform: `translate(${place.left}px, ${place.top}px)`,
    });
    this.layer.classList.toggle("pixelated", pixelated);
    const visible = { own: showing === "own", source: showing === "source" || wiping, other: showing === "other" };
    for (const [name, picture] of Object.entries(this.pictures)) picture.classList.toggle("off", !visible[name]);
    if (source) source.style.clipPath = wiping ? `inset(0 ${(1 - wipe) * 100}% 0 0)` : "none";
    this.#drawHeat(this.role === "edit" && showing === "own" ? gain : 0);
    this.#drawHandle(wiping, wipe, place);
    this.#drawCaption(showing, other, gain);
  }

  #drawHeat(gain) {
    this.heat.classList.toggle("off", !gain);
    if (!gain || gain === this.heatGain || !this.pictures.source) return;
    drawHeat(this.heat, this.pictures.source, this.pictures.own, gain);
    this.heatGain = gain;
  }

  #drawHandle(wiping, wipe, place) {
    this.handle.hidden = !wiping;
    if (!wiping) return;
    const top = Math.max(0, place.top);
    const bottom = Math.min(this.size.height, place.top + place.height);
    Object.assign(this.handle.style, {
      left: `${place.left + place.width * wipe}px`,
      top: `${top}px`,
      height: `${bottom - top}px`,
    });
    this.handle.setAttribute("aria-valuenow", Math.round(wipe * 100));
  }

  #drawCaption(showing, other, gain) {
    const label = { own: this.label.own, source: t("held"), other: this.label.other }[showing];
    const text = gain && this.role === "edit" && showing === "own" ? `${label} · ${t("difference", { gain })}` : label;
    this.element.dataset.shown = showing;
    if (this.caption.textContent !== text) this.caption.textContent = text;
    this.view.setAttribute("aria-label", t("picture", { label: text }));
  }
}
