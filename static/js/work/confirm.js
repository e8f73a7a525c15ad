/* The last step of a ranking pass: one strip from best to worst, ties in brackets, and duels that disagree with it. */
import { h } from "./dom.js";
import { SHELVES } from "./order.js";
import { passHead } from "./shelves.js";
import { keyButton } from "./controls.js";
import { t } from "./text.js";

/** What a contradiction says, in words. */
export function sentenceOf({ a, b, result }, order) {
  const place = (letter) => order.findIndex((tier) => tier.includes(letter));
  const [better, worse] = place(a) < place(b) ? [a, b] : [b, a];
  if (result === "tie") return t("contradictionApart", { a, b, better, worse });
  const [winner, loser] = result === a ? [a, b] : [b, a];
  return t(place(a) === place(b) ? "contradictionTied" : "contradictionAbove", { winner, loser });
}

export class ConfirmView {
  constructor({ onReplay }) {
    this.onReplay = onReplay;
  }

  draw({ state, at, dimension, thumbs, against, strip }) {
    const end = (text) => h("span", { class: "strip-end" }, text);
    strip.replaceChildren(
      end(t("best")),
      ...SHELVES.map((shelf) => this.#shelf(shelf, at.order, state.shelves, thumbs)),
      end(t("worst")),
    );
    strip.dataset.count = at.order.flat().length > 12 ? "many" : "few";
    return [
      passHead(dimension, "confirm"),
      h("h3", {}, t("confirmTitle")),
      h("p", { class: "muted small" }, t("confirmHelp")),
      this.#against(against, at.order),
    ];
  }

  #shelf(shelf, order, shelves, thumbs) {
    const tiers = order.filter((tier) => shelves[tier[0]] === shelf);
    return h(
      "div",
      {
        class: tiers.length ? "strip-shelf" : "strip-shelf empty-shelf",
        "data-shelf": shelf,
        role: "group",
        "aria-label": t("shelf", { shelf }),
      },
      h("span", { class: "strip-number num", "aria-hidden": "true" }, String(shelf)),
      ...tiers.map((tier) =>
        h(
          "span",
          {
            class: tier.length > 1 ? "tier tied" : "tier",
            role: "group",
            "aria-label": tier.length > 1 ? `${t("tie")}: ${tier.join(", ")}` : tier[0],
          },
          ...tier.map((letter) => thumbs.get(letter)),
        ),
      ),
    );
  }

  #against(against, order) {
    if (!against.length) return h("p", { class: "agree small" }, "✓ ", t("noContradictions"));
    const items = against.map((duel, index) =>
      h(
        "li",
        {},
        h("p", {}, sentenceOf(duel, order)),
        duel.circle && h("p", { class: "muted small" }, t("circle", { letters: duel.circle.join(" › ") })),
        keyButton(t("answerAgain"), index === 0 ? "C" : null, () => this.onReplay(duel)),
      ),
    );
    return h(
      "div",
      { class: "against" },
      h("h3", {}, t("contradictions", { n: against.length })),
      h("ul", {}, ...items),
    );
  }
}
