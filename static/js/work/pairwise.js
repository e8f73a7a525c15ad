/* The pairwise page: which of two edits is better. One key answers; U goes back to change it. */
import { h } from "./dom.js";
import { caps } from "./keymap.js";
import { WorkPage } from "./page.js";
import { excuses, pairwiseAnswer } from "./reducer.js";
import { t } from "./text.js";

const CHOICES = [
  ["A", "leftBetter", "ArrowLeft"],
  ["tie", "tie", "ArrowDown"],
  ["both_bad", "bothBad", "ArrowUp"],
  ["B", "rightBetter", "ArrowRight"],
];

export class PairwiseTask {
  mode = "pairwise";

  constructor(page) {
    this.page = page;
    this.buttons = CHOICES.map(([choice, text, key]) =>
      h(
        "button",
        { type: "button", class: "button choice", "data-choice": choice, onclick: () => this.choose(choice) },
        caps(key),
        t(text),
      ),
    );
  }

  get context() {
    return {};
  }

  home() {
    document.getElementById("stage").focus({ preventScroll: true });
  }

  async show(assignment, images) {
    const { study, compare, answer } = this.page;
    const dimension = study.dimensions.find(({ key }) => key === assignment.dimension) ?? study.dimensions[0];
    const edits = assignment.images.map(({ letter }) => ({ letter, label: letter, image: images.get(letter) }));
    answer.replaceChildren(
      h(
        "header",
        { class: "pass-head" },
        h("h2", { class: "dimension-name" }, dimension.label),
        h("p", { class: "duel-question" }, t("duelTitle")),
      ),
      h("div", { class: "duel-buttons" }, ...this.buttons),
    );
    compare.setDifference(dimension.difference);
    this.page.showRubric(dimension);
    this.update(this.page.state);
    this.home();
    await compare.show({ source: images.get("source"), edits, reset: true });
  }

  /** An earlier answer is marked; nothing is marked where there is none. */
  update(state) {
    for (const button of this.buttons)
      button.setAttribute("aria-pressed", state.submitted?.choice === button.dataset.choice);
  }

  choose(choice) {
    this.page.finish(pairwiseAnswer(this.page.state, choice));
  }

  /** Enter keeps an earlier choice, and leaves the choice open where a flag says that nothing can be judged. */
  #keep() {
    const { state } = this.page;
    const earlier = state.submitted?.choice ?? null;
    if (earlier || excuses(state.flag)) this.choose(earlier);
    else this.page.say(t("pickFirst"));
  }

  act(action) {
    const actions = {
      left: () => this.choose("A"),
      right: () => this.choose("B"),
      tie: () => this.choose("tie"),
      bothBad: () => this.choose("both_bad"),
      submit: () => this.#keep(),
    };
    actions[action]?.();
  }
}

if (document.getElementById("study")) new WorkPage((page) => new PairwiseTask(page)).start();
