/* The shelves of a ranking pass, 5 at the top; beside the stage while images are placed. */
import { caps } from "./keymap.js";
import { h } from "./dom.js";
import { byShelf, SHELVES } from "./order.js";
import { t } from "./text.js";

const PHASES = ["shelves", "duels", "confirm"];

/** The dimension's name and the three steps of the pass. */
export function passHead(dimension, phase) {
  const steps = [t("stepShelves"), t("stepDuels"), t("stepConfirm")];
  const now = PHASES.indexOf(phase);
  const items = steps.map((text, index) =>
    h(
      "li",
      { class: index < now ? "done" : index === now ? "now" : "", "aria-current": index === now && "step" },
      text,
    ),
  );
  return h(
    "header",
    { class: "pass-head" },
    h("h2", { class: "dimension-name" }, dimension.label),
    h("ol", { class: "steps" }, ...items),
  );
}

export class ShelvesView {
  constructor({ onPlace }) {
    this.rows = new Map(SHELVES.map((shelf) => [shelf, this.#row(shelf, onPlace)]));
    this.list = h("div", { class: "shelves" }, ...[...this.rows.values()].map(({ element }) => element));
    this.trayTitle = h("h3", {});
    this.trayItems = h("div", { class: "shelf-items" });
    this.tray = h("div", { class: "tray" }, this.trayTitle, this.trayItems);
  }

  #row(shelf, onPlace) {
    const anchor = h("span", { class: "shelf-anchor" });
    const put = h(
      "button",
      { type: "button", class: "shelf-put", onclick: () => onPlace(shelf), "aria-label": t("shelfButton", { shelf }) },
      caps(String(shelf)),
    );
    const items = h("div", { class: "shelf-items" });
    const element = h(
      "div",
      { class: "shelf", role: "group", "aria-label": t("shelf", { shelf }), "data-shelf": shelf },
      put,
      anchor,
      items,
    );
    return { element, anchor, items, put };
  }

  draw({ state, at, dimension, letters, thumbs }) {
    const groups = byShelf(letters, state.shelves);
    for (const [shelf, { anchor, items, put }] of this.rows) {
      const meaning = dimension.scale?.min === 0 ? (dimension.scale.anchors?.[shelf] ?? "") : "";
      anchor.textContent = groups[shelf].length ? "" : meaning;
      if (meaning) put.title = meaning;
      items.replaceChildren(...groups[shelf].map((letter) => thumbs.get(letter)));
    }
    this.trayTitle.textContent = t("unplaced", { n: at.unplaced.length });
    this.trayItems.replaceChildren(...at.unplaced.map((letter) => thumbs.get(letter)));
    return [passHead(dimension, "shelves"), this.list, this.tray];
  }
}
