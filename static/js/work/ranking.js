/* The ranking page, one dimension of one group in a pass: shelves, duels inside shelves, then the strip to confirm. */
import { ConfirmView } from "./confirm.js";
import { submitButton } from "./controls.js";
import { seededRandom } from "./dom.js";
import { DuelBar } from "./duel_bar.js";
import { letterOf } from "./keymap.js";
import { contradictions, dropMove, sameOrder, standing, stepMove } from "./order.js";
import { WorkPage } from "./page.js";
import { excuses, rankingAnswer } from "./reducer.js";
import { ShelvesView } from "./shelves.js";
import { t } from "./text.js";
import { Thumbs } from "./thumbs.js";

export class RankingTask {
  mode = "shelves";

  constructor(page) {
    this.page = page;
    this.shelvesView = new ShelvesView({ onPlace: (shelf) => this.place(this.inView, shelf) });
    this.confirmView = new ConfirmView({ onReplay: (duel) => this.startReplay(duel) });
    this.duelBar = new DuelBar({ onAnswer: (side) => this.answerDuel(side) });
    this.submit = submitButton(t("submit"), () => this.trySubmit());
  }

  get context() {
    return { letters: this.letters ?? [], depth: this.page.study.duels };
  }

  get letterToFlag() {
    return this.duel ? null : this.inView;
  }

  flagInView(state) {
    return state.flags[this.inView] ?? state.flag;
  }

  home() {
    document.getElementById("stage").focus({ preventScroll: true });
  }

  async show(assignment, images) {
    this.uid = assignment.uid;
    this.images = images;
    this.letters = assignment.images.map(({ letter }) => letter);
    this.dimension =
      this.page.study.dimensions.find(({ key }) => key === assignment.dimension) ?? this.page.study.dimensions[0];
    this.thumbs = new Thumbs(this.letters, images, {
      onPick: (letter) => this.view(letter),
      onDrop: (letter, target) => this.drop(letter, target),
    });
    this.replay = null;
    this.grabbed = false;
    this.scene = null;
    const { shelves } = this.page.state;
    this.inView = this.letters.find((letter) => !(letter in shelves)) ?? this.letters[0];
    this.page.compare.setDifference(this.dimension.difference);
    this.page.showRubric(this.dimension);
    this.fresh = true;
    this.update(this.page.state);
    this.home();
    await this.shown;
  }

  /** Draws the pass as it stands after the events so far. */
  update(state) {
    const before = this.at;
    this.at = standing(state, this.letters, this.page.study.duels);
    if (before && before.phase !== "confirm" && this.at.phase === "confirm") this.inView = this.at.order[0][0];
    if (this.at.phase !== "confirm") this.replay = null;
    this.duel = this.#duel(state);
    this.mode = this.duel ? "duels" : this.at.phase;
    document.body.dataset.mode = this.mode;
    this.against = this.at.order ? contradictions(this.at.order, state.duels) : [];
    this.#draw(state);
    this.#stage();
  }

  /** The pair in question with its sides; they are random, yet the same after a reload and recorded with the answer. */
  #duel(state) {
    const pair = this.replay ?? (this.at.phase === "duels" ? this.at.pending : null);
    if (!pair) return null;
    const [a, b] = [...pair].sort();
    const swapped = seededRandom(`${this.uid} ${a} ${b} ${state.duels.length}`) < 0.5;
    return { a, b, left: swapped ? b : a, right: swapped ? a : b, replay: this.replay !== null };
  }

  #draw(state) {
    const { answer } = this.page;
    const strip = document.getElementById("strip");
    strip.hidden = this.mode !== "confirm";
    this.thumbs.update({
      inView: this.duel ? null : this.inView,
      shelves: state.shelves,
      flags: state.flags,
      grabbed: this.grabbed,
    });
    const shared = { state, at: this.at, dimension: this.dimension, letters: this.letters, thumbs: this.thumbs };
    if (this.mode === "duels") answer.replaceChildren(...this.duelBar.draw({ ...shared, duel: this.duel }));
    else if (this.mode === "shelves")
      answer.replaceChildren(...this.shelvesView.draw(shared), ...(excuses(state.flag) ? [this.submit] : []));
    else answer.replaceChildren(...this.confirmView.draw({ ...shared, against: this.against, strip }), this.submit);
  }

  #stage() {
    const letters = this.duel ? [this.duel.left, this.duel.right] : [this.inView];
    const scene = letters.join("|");
    if (scene === this.scene) return;
    this.scene = scene;
    const edits = letters.map((letter) => ({ letter, label: letter, image: this.images.get(letter) }));
    this.shown = this.page.compare.show({ source: this.images.get("source"), edits, reset: this.fresh });
    this.fresh = false;
  }

  // Shelves

  view(letter) {
    this.inView = letter;
    this.page.refresh();
    const { shelves } = this.page.state;
    this.page.announce(
      letter in shelves ? t("imageOnShelf", { letter, shelf: shelves[letter] }) : t("image", { letter }),
    );
  }

  place(letter, shelf) {
    const { at } = this;
    if (at.phase === "shelves") {
      const start = this.letters.indexOf(letter);
      const ahead = [...this.letters.slice(start + 1), ...this.letters.slice(0, start)];
      this.inView = ahead.find((one) => one !== letter && at.unplaced.includes(one)) ?? letter;
    } else if (this.page.state.shelves[letter] === shelf) return;
    this.page.emit("place", { letter, shelf });
    this.page.announce(t("placed", { letter, shelf, n: this.at.unplaced.length }));
  }

  /** The image before or after the one in view: in display order, and in the order of the strip once there is one. */
  neighbour(direction) {
    const line = this.at.order?.flat() ?? this.letters;
    const index = (line.indexOf(this.inView) + direction + line.length) % line.length;
    if (this.grabbed) this.step(direction);
    else this.view(line[index]);
  }

  /** After G the next letter is the name of an image, not a command. */
  takes(event) {
    if (!this.goingTo || event.ctrlKey || event.metaKey || event.altKey) return false;
    this.goingTo = false;
    const letter = letterOf(event);
    if (letter === null) return event.key === "Escape";
    if (this.letters.includes(letter)) this.view(letter);
    else this.page.say(t("noSuchImage", { letter }));
    return true;
  }

  // Duels

  answerDuel(side) {
    const { a, b, left, replay } = this.duel;
    this.replay = null;
    this.page.emit("duel", { a, b, left, result: side === "tie" ? "tie" : this.duel[side] });
    if (replay && !this.duel) this.page.announce(t("confirmTitle"));
  }

  startReplay({ a, b }) {
    this.replay = [a, b];
    this.grabbed = false;
    this.page.refresh();
    this.page.announce(t("replayTitle"));
  }

  // The strip

  step(direction) {
    const { state } = this.page;
    const event = stepMove(this.at.order, state.shelves, this.inView, direction);
    if (event) this.#move([event]);
    else this.page.announce(t("atEnd", { letter: this.inView }));
  }

  drop(letter, target) {
    const { state } = this.page;
    if (this.at.phase !== "confirm") {
      this.inView = letter;
      if (state.shelves[letter] !== target.shelf && target.shelf !== undefined) this.place(letter, target.shelf);
      return;
    }
    this.inView = letter;
    this.#move(dropMove(this.at.order, state.shelves, letter, this.#exact(target, letter)));
  }

  /** Beside a thumb means before its tier, or before the tier that follows on the same shelf. */
  #exact({ tie, beside, after, shelf, before }, letter) {
    if (tie) return { tie };
    if (!beside) return { shelf, before };
    const { shelves } = this.page.state;
    const tiers = this.at.order.map((tier) => tier.filter((one) => one !== letter)).filter((tier) => tier.length);
    const index = tiers.findIndex((tier) => tier.includes(beside)) + (after ? 1 : 0);
    const next = tiers[index]?.[0] ?? null;
    return { shelf, before: next && shelves[next] === shelf ? next : null };
  }

  #move(events) {
    for (const { kind, data } of events) this.page.emit(kind, data);
    if (!events.length) this.page.refresh();
    const { order } = this.at;
    const place = order.findIndex((tier) => tier.includes(this.inView));
    const others = order[place].filter((one) => one !== this.inView);
    const tied = others.length ? t("movedTied", { letters: others.join(", ") }) : "";
    this.page.announce(
      t("moved", {
        letter: this.inView,
        shelf: this.page.state.shelves[this.inView],
        place: place + 1,
        count: order.length,
        tied,
      }),
    );
  }

  grab() {
    this.grabbed = !this.grabbed;
    this.page.say(t(this.grabbed ? "grabbed" : "released", { letter: this.inView }));
    this.page.refresh();
  }

  cancel() {
    if (this.grabbed) this.grab();
    this.goingTo = false;
    this.replay = null;
    this.page.refresh();
  }

  // Submitting

  trySubmit() {
    const { state } = this.page;
    const excused = excuses(state.flag) && this.at.phase !== "confirm";
    if (!excused && this.at.phase === "shelves") {
      this.page.say(t("missingPlaces", { letters: this.at.unplaced.join(", ") }));
      return;
    }
    if (this.against.length && !(this.warned && sameOrder(this.warned, this.at.order))) {
      this.warned = this.at.order;
      this.page.say(t("submitAnyway"));
      return;
    }
    this.warned = null;
    this.at = null;
    this.page.finish(rankingAnswer(state, excused ? null : standing(state, this.letters, this.page.study.duels).order));
  }

  act(action, { digit }) {
    const actions = {
      digit: () => digit <= 5 && this.place(this.inView, digit),
      next: () => this.neighbour(1),
      before: () => this.neighbour(-1),
      better: () => this.step(-1),
      worse: () => this.step(1),
      grab: () => this.grab(),
      replay: () => this.against.length && this.startReplay(this.against[0]),
      goTo: () => this.#goTo(),
      left: () => this.answerDuel("left"),
      right: () => this.answerDuel("right"),
      tie: () => this.answerDuel("tie"),
      submit: () => this.trySubmit(),
      cancel: () => this.cancel(),
    };
    actions[action]?.();
  }

  #goTo() {
    this.goingTo = true;
    this.page.say(t("goTo"));
  }
}

if (document.getElementById("study")) new WorkPage((page) => new RankingTask(page)).start();
