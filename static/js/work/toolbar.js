/* The buttons of the stage: everything that a key does there, for mouse, touch and screen readers. */
import { h } from "./dom.js";
import { caps } from "./keymap.js";
import { t } from "./text.js";

/** A button that acts while it is pressed; a click by keyboard or screen reader switches it. */
function holdButton(text, key, peek) {
  const button = h("button", { type: "button", class: "button small tool", "aria-pressed": "false" }, text, caps(key));
  const set = (on) => {
    button.setAttribute("aria-pressed", on);
    peek(on);
  };
  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture(event.pointerId);
    set(true);
  });
  for (const type of ["pointerup", "pointercancel"]) button.addEventListener(type, () => set(false));
  button.addEventListener("click", (event) => {
    if (event.detail === 0) set(button.getAttribute("aria-pressed") !== "true");
  });
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  return button;
}

const toolButton = (text, key, onclick, properties = {}) =>
  h("button", { type: "button", class: "button small tool", onclick, ...properties }, text, key ? caps(key) : null);

export class Toolbar {
  constructor(compare) {
    this.compare = compare;
    this.holdButton = holdButton(t("hold"), "Space", (on) => compare.hold(on));
    this.swapButton = holdButton(t("swap"), "S", (on) => compare.swap(on));
    this.wipeButton = toolButton(t("wipe"), "W", () => compare.act("wipe"));
    this.differenceButton = toolButton(t("differenceButton"), "D", () => this.#difference());
    this.zoomButton = toolButton("100 %", "Z", () => compare.act("zoom"), { "aria-label": t("zoom") });
    this.viewButton = toolButton(t("view"), "V", () => compare.act("view"));
    this.viewButton.classList.add("view-button");
    this.zoomValue = this.zoomButton.firstChild;
    const minus = toolButton("−", null, () => compare.act("zoomOut"), { "aria-label": t("zoomOut") });
    const plus = toolButton("+", null, () => compare.act("zoomIn"), { "aria-label": t("zoomIn") });
    this.element = h(
      "div",
      { class: "toolbar", role: "toolbar", "aria-label": t("groupCompare") },
      this.holdButton,
      this.swapButton,
      this.wipeButton,
      this.differenceButton,
      h("span", { class: "segmented zoom" }, minus, this.zoomButton, plus),
      this.viewButton,
    );
  }

  /** Without a keyboard the second press is the deliberate one. */
  #difference() {
    const { compare } = this;
    const off = !compare.differenceHere && !compare.deliberate;
    if (off && this.asked !== compare.image) {
      this.asked = compare.image;
      compare.say(t("differenceAsk"));
    } else compare.act(off ? "allowDifference" : "difference");
  }

  setPair(pair) {
    this.swapButton.hidden = !pair;
  }

  update({ pixel }) {
    const { compare } = this;
    this.wipeButton.setAttribute("aria-pressed", compare.wipe !== null);
    this.differenceButton.setAttribute("aria-pressed", compare.gain > 0);
    this.differenceButton.classList.toggle("faint", !compare.differenceHere && !compare.deliberate);
    this.differenceButton.firstChild.textContent = compare.gain
      ? t("difference", { gain: compare.gain })
      : t("differenceButton");
    this.viewButton.setAttribute("aria-pressed", compare.beside);
    this.zoomValue.textContent = `${Math.round(pixel * 100)} %`;
  }
}
