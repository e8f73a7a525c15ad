/* The answers to a duel: left, equally good, right (and both bad on the pairwise page). */
import { caps } from "./keymap.js";
import { h } from "./dom.js";
import { byShelf } from "./order.js";
import { latestDuels } from "./merge_insertion.js";
import { passHead } from "./shelves.js";
import { t } from "./text.js";

const choice = (text, key, onclick) =>
  h("button", { type: "button", class: "button choice", onclick }, caps(key), text);

export class DuelBar {
  constructor({ onAnswer }) {
    this.buttons = h(
      "div",
      { class: "duel-buttons" },
      choice(t("leftBetter"), "ArrowLeft", () => onAnswer("left")),
      choice(t("tie"), "ArrowDown", () => onAnswer("tie")),
      choice(t("rightBetter"), "ArrowRight", () => onAnswer("right")),
    );
    this.question = h("p", { class: "duel-question" });
    this.count = h("p", { class: "muted num small" });
  }

  draw({ state, at, dimension, duel, letters }) {
    this.question.textContent = t(duel.replay ? "replayTitle" : "duelTitle");
    const shelf = state.shelves[duel.a];
    const here = byShelf(letters, state.shelves)[shelf];
    const done = [...latestDuels(state.duels).values()].filter(
      ({ a, b }) => here.includes(a) && here.includes(b),
    ).length;
    this.count.textContent = duel.replay
      ? `${duel.a} · ${duel.b}`
      : t("duelCount", { shelf, n: done + 1, most: Math.max(done + 1, at.mostOf[shelf]) });
    return [passHead(dimension, "duels"), h("div", { class: "duel-ask" }, this.question, this.count), this.buttons];
  }
}
