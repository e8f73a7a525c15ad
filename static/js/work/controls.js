/* Small controls that several of the annotation pages share. */
import { h } from "./dom.js";
import { caps } from "./keymap.js";
import { format } from "./scale.js";
import { t } from "./text.js";

/** The large button that sends the answer; it stays clickable while something is missing, to say what. */
export function submitButton(text, onclick) {
  return h("button", { type: "button", class: "button primary submit", onclick }, text, caps("Enter"));
}

/** A button with its key. */
export function keyButton(text, key, onclick, properties = {}) {
  return h("button", { type: "button", class: "button small", onclick, ...properties }, text, key ? caps(key) : null);
}

/** The rubric of a dimension: its text and what its scores mean, best first. */
export function rubricView(dimension) {
  const { anchors = {} } = dimension.scale;
  const scores = Object.keys(anchors)
    .map(Number)
    .sort((one, other) => other - one);
  const empty = !dimension.rubric && !scores.length;
  return [
    h("h3", {}, dimension.label),
    ...(empty ? [t("noRubric")] : dimension.rubric.split(/\n+/)).filter(Boolean).map((line) => h("p", {}, line)),
    h(
      "dl",
      { class: "anchors" },
      ...scores.flatMap((score) => [
        h("dt", { class: "num" }, format(score, { step: Number.isInteger(score) ? 1 : 0.1 })),
        h("dd", {}, anchors[score]),
      ]),
    ),
  ];
}
