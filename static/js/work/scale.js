/* Typing a number on a scale, and the control of one dimension: buttons for few values, a slider without a default
   position for continuous scales. */
import { h } from "./dom.js";
import { t } from "./text.js";

const TYPING = 1_500; // ms within which a digit or a point goes on with the number before it
const MOST_BUTTONS = 11;
const SHORT = 24; // characters

const decimalsOf = (step) => (String(step).split(".")[1] ?? "").length;
export const hasButtons = ({ min, max, step }) => step >= 1 && (max - min) / step < MOST_BUTTONS;
export const format = (value, { step }) => value.toFixed(decimalsOf(step));

/** The nearest value of the scale, or null outside it. */
export function onScale(value, { min, max, step }) {
  const nearest = Number((min + Math.round((value - min) / step) * step).toFixed(decimalsOf(step)));
  return nearest >= min && nearest <= max && Math.abs(nearest - value) < step / 1000 ? nearest : null;
}

/** A number typed key by key: 3 is 3, then "." and 7 make it 3.7; on 0 to 100, 7 and 5 make 75. */
export class TypedNumber {
  constructor(scale) {
    this.scale = scale;
    this.clear();
  }

  clear() {
    this.text = "";
    this.at = -Infinity;
  }

  /** @returns {number|null} the value after this digit; null where the scale does not have it */
  digit(digit, now) {
    const going = now - this.at < TYPING ? this.text : "";
    for (const text of going ? [going + digit, String(digit)] : [String(digit)]) {
      const value = onScale(Number(text), this.scale);
      if (value === null) continue;
      this.text = text;
      this.at = now;
      return value;
    }
    this.clear();
    return null;
  }

  /** A decimal point. @returns {boolean} whether it goes on with a number */
  point(now) {
    if (!decimalsOf(this.scale.step) || !/^\d+$/.test(this.text) || now - this.at >= TYPING) return false;
    this.text += ".";
    this.at = now;
    return true;
  }
}

export class DimensionControl {
  /** @param {object} dimension as in the study
   * @param {{onScore: (value: number) => void, onFocus: () => void, say: (text: string) => void}} page */
  constructor(dimension, { onScore, onFocus, say }) {
    Object.assign(this, { dimension, scale: dimension.scale, onScore, say });
    this.typed = new TypedNumber(this.scale);
    this.value = null;
    this.output = h("output", { class: "dim-value num" });
    this.control = hasButtons(this.scale) ? this.#buttons() : this.#slider();
    const id = `dim-${dimension.key}`;
    this.control.setAttribute("aria-labelledby", id);
    this.element = h(
      "section",
      { class: "dim" },
      h("header", {}, h("h3", { id }, dimension.label), this.output),
      this.control,
      this.#ends(),
    );
    this.element.addEventListener("focusin", onFocus);
    this.element.addEventListener("pointerdown", onFocus);
  }

  get values() {
    const { min, max, step } = this.scale;
    return Array.from({ length: Math.round((max - min) / step) + 1 }, (_, index) => min + index * step);
  }

  #buttons() {
    this.options = this.values.map((value) =>
      h(
        "button",
        {
          type: "button",
          role: "radio",
          class: "option num",
          "data-value": value,
          title: this.scale.anchors?.[value],
          onclick: () => this.set(value),
        },
        String(value),
      ),
    );
    return h("div", { role: "radiogroup", class: "options" }, ...this.options);
  }

  #slider() {
    const { min, max } = this.scale;
    this.thumb = h("span", { class: "thumb-mark", hidden: true });
    const whole = Array.from({ length: Math.floor(max) - Math.ceil(min) + 1 }, (_, index) => Math.ceil(min) + index);
    const every = Math.ceil(whole.length / 11);
    const ticks = whole
      .filter((value) => (value - whole[0]) % every === 0)
      .map((value) => this.#at(h("span", { class: "tick num" }, String(value)), value));
    const slider = h(
      "div",
      { role: "slider", tabindex: "0", class: "slider", "aria-valuemin": min, "aria-valuemax": max },
      h("span", { class: "track" }),
      ...ticks,
      this.thumb,
    );
    slider.addEventListener("pointerdown", (event) => this.#drag(slider, event));
    return slider;
  }

  #at(element, value) {
    element.style.left = `${((value - this.scale.min) / (this.scale.max - this.scale.min)) * 100}%`;
    return element;
  }

  /** Follows the pointer and scores once, where it is let go. */
  #drag(slider, down) {
    if (down.button !== 0) return;
    down.preventDefault();
    slider.focus();
    slider.setPointerCapture(down.pointerId);
    const valueAt = ({ clientX }) => {
      const { left, width } = slider.querySelector(".track").getBoundingClientRect();
      const { min, max, step } = this.scale;
      const share = Math.min(1, Math.max(0, (clientX - left) / width));
      return onScale(min + Math.round((share * (max - min)) / step) * step, this.scale);
    };
    const follow = (event) => this.#draw(valueAt(event));
    const end = (event) => {
      slider.removeEventListener("pointermove", follow);
      slider.removeEventListener("pointerup", end);
      slider.removeEventListener("pointercancel", end);
      if (event.type === "pointerup") this.set(valueAt(event));
      else this.#draw(this.value);
    };
    follow(down);
    slider.addEventListener("pointermove", follow);
    slider.addEventListener("pointerup", end);
    slider.addEventListener("pointercancel", end);
  }

  #ends() {
    const { min, max, anchors = {} } = this.scale;
    const long = [min, max].some((value) => (anchors[value] ?? "").length > SHORT);
    if (long || !(anchors[min] || anchors[max])) return null; // Sentences stand in the rubric.
    return h("p", { class: "dim-ends" }, h("span", {}, anchors[min] ?? ""), h("span", {}, anchors[max] ?? ""));
  }

  /** Shows the score in force (null: none). */
  update(value) {
    this.value = value;
    this.#draw(value);
  }

  #draw(value) {
    const text = value === null ? "" : format(value, this.scale);
    this.output.textContent = text;
    this.element.classList.toggle("scored", value !== null);
    if (this.options) this.#drawButtons(value);
    else this.#drawSlider(value, text);
  }

  #drawButtons(value) {
    const stop = this.options.find((option) => Number(option.dataset.value) === value) ?? this.options[0];
    for (const option of this.options) {
      option.setAttribute("aria-checked", Number(option.dataset.value) === value);
      option.tabIndex = option === stop ? 0 : -1;
    }
    // The focus follows, or Tab would stop at the same dimension once more.
    if (this.options.includes(document.activeElement)) stop.focus();
  }

  #drawSlider(value, text) {
    this.thumb.hidden = value === null;
    this.control.setAttribute("aria-valuetext", value === null ? t("notSet") : text);
    if (value === null) {
      this.control.removeAttribute("aria-valuenow");
      return;
    }
    this.control.setAttribute("aria-valuenow", value);
    this.#at(this.thumb, value);
  }

  set(value) {
    if (value !== this.value) this.onScore(value);
  }

  focus() {
    (this.options?.find(({ tabIndex }) => tabIndex === 0) ?? this.control).focus({ preventScroll: false });
  }

  digit(digit) {
    const value = this.typed.digit(digit, performance.now());
    if (value === null) this.say(t("scaleRange", this.scale));
    else this.set(value);
  }

  decimal() {
    if (this.typed.point(performance.now())) this.output.textContent = `${this.typed.text}_`;
  }

  step(direction) {
    if (this.value === null) {
      this.say(t("typeFirst"));
      return;
    }
    const { min, max, step } = this.scale;
    this.typed.clear();
    this.set(Math.min(max, Math.max(min, Number((this.value + direction * step).toFixed(decimalsOf(step))))));
  }
}
