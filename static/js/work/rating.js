/* The rating page: a score for every dimension of one edit. */
import { h } from "./dom.js";
import { WorkPage } from "./page.js";
import { missingScores, ratingAnswer } from "./reducer.js";
import { DimensionControl, format } from "./scale.js";
import { submitButton } from "./controls.js";
import { t } from "./text.js";

export class RatingTask {
  mode = "rating";

  constructor(page) {
    this.page = page;
    this.submit = submitButton(t("submit"), () => this.trySubmit());
  }

  get context() {
    return {};
  }

  get dimension() {
    return this.dimensions[this.active];
  }

  /** Where the keys answer: the active dimension's control. */
  home() {
    this.controls[this.active].focus();
  }

  async show(assignment, images) {
    const { study, compare } = this.page;
    this.dimensions = assignment.dimension
      ? study.dimensions.filter(({ key }) => key === assignment.dimension)
      : study.dimensions;
    this.controls = this.dimensions.map((dimension, index) => this.#control(dimension, index));
    this.page.answer.replaceChildren(...this.controls.map(({ element }) => element), this.submit);
    const [{ letter }] = assignment.images;
    const shown = compare.show({
      source: images.get("source"),
      edits: [{ letter, label: t("edit"), image: images.get(letter) }],
      reset: true,
    });
    this.update(this.page.state);
    const first = this.dimensions.findIndex(({ key }) => !(key in this.page.state.scores));
    this.activate(Math.max(0, first));
    this.home();
    await shown;
  }

  #control(dimension, index) {
    return new DimensionControl(dimension, {
      onScore: (value) => this.score(index, value),
      onFocus: () => this.activate(index),
      say: (text) => this.page.say(text),
    });
  }

  activate(index) {
    this.active = index;
    this.controls.forEach(({ element }, one) => element.classList.toggle("active", one === index));
    this.page.compare.setDifference(this.dimension.difference);
    this.page.showRubric(this.dimension);
  }

  score(index, value) {
    const { key, label, scale } = this.dimensions[index];
    this.page.emit("score", { dimension: key, value });
    this.page.announce(t("scored", { label, value: format(value, scale) }));
  }

  update(state) {
    this.dimensions.forEach(({ key }, index) => this.controls[index].update(state.scores[key] ?? null));
    this.submit.setAttribute("aria-disabled", missingScores(state, this.dimensions).length > 0);
  }

  trySubmit() {
    const { state } = this.page;
    const [missing] = missingScores(state, this.dimensions);
    if (!missing) {
      this.page.finish(ratingAnswer(state));
      return;
    }
    this.page.say(t("noScore", { label: missing.label }));
    this.activate(this.dimensions.indexOf(missing));
    this.home();
  }

  act(action, { digit }) {
    const control = this.controls[this.active];
    const actions = {
      digit: () => control.digit(digit),
      decimal: () => control.decimal(),
      up: () => control.step(1),
      down: () => control.step(-1),
      submit: () => this.trySubmit(),
    };
    actions[action]?.();
  }
}

if (document.getElementById("study")) new WorkPage((page) => new RatingTask(page)).start();
