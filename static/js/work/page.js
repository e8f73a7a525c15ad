/* An annotation page: it holds the session, the outbox and the stage, turns keys into actions and actions into events,
   and shows the state that the events add up to. What an answer looks like is the task's (see rating.js …). */
import { post } from "./api.js";
import { Compare } from "./compare.js";
import { keyButton, rubricView } from "./controls.js";
import { flagDialog, guidelinesDialog, helpDialog } from "./dialogs.js";
import { $, h, jsonScript, preference, uuid } from "./dom.js";
import { Images } from "./images.js";
import { actionOf, letterOf, nameOf } from "./keymap.js";
import { Notices } from "./notices.js";
import { Outbox } from "./outbox.js";
import { reduce } from "./reducer.js";
import { RemarkField } from "./remark.js";
import { Screens } from "./screens.js";
import { Session } from "./session.js";
import { onlyHere } from "./tabs.js";
import { t } from "./text.js";

const HINT_TIME = 5_000;
const SLOW = 150;
const REPEATING = /^(pan|zoom(In|Out)|next|before|better|worse|up|down|undo)/;

export class WorkPage {
  constructor(makeTask) {
    this.study = jsonScript("study");
    this.answer = $("answer");
    this.images = new Images();
    this.compare = new Compare($("stage"), {
      onUse: (tool, details) => this.#used(tool, details),
      say: (text) => this.say(text),
    });
    this.remark = new RemarkField((text) => this.emit("remark", { text }));
    const prefix = `editloop.outbox.${this.study.user_id}.${this.study.uid}`;
    this.outbox = new Outbox({
      prefix,
      send: (events) => this.#send(events),
      onReply: (reply) => this.session.accept(reply),
      onRefused: (refusal) => this.#refused(refusal),
      onChange: () => this.#outboxChanged(),
    });
    this.session = new Session({
      study: this.study,
      outbox: this.outbox,
      images: this.images,
      onShow: (assignment) => this.show(assignment),
      onIdle: (why) => this.#idle(why),
      onProgress: (progress) => this.#progress(progress),
      onExtra: () => this.#extra(),
    });
    this.notices = new Notices($("notices"), {
      outbox: this.outbox,
      announce: (text) => this.announce(text),
      canReopen: (uid) => this.session.canReopen(uid),
      onReopen: (uid) => this.session.reopen(uid),
      onPostpone: (uid) => this.session.postpone(uid),
    });
    this.screens = new Screens($("screen"), {
      home: this.study.urls.home,
      onContinue: () => this.session.resume(),
      onAgain: () => this.session.fetchNext(),
      onBack: () => this.back(),
    });
    this.task = makeTask(this);
    this.rubricOpen = preference.read(`rubric.${this.study.kind}`, this.study.kind === "rating");
  }

  start() {
    this.#tools();
    document.addEventListener("keydown", (event) => this.#keyDown(event));
    document.addEventListener("keyup", (event) => this.#keyUp(event));
    document.addEventListener("click", (event) => this.#afterClick(event));
    addEventListener("blur", () => this.#letGo());
    addEventListener("online", () => this.outbox.wake());
    addEventListener("offline", () => this.notices.update());
    addEventListener(
      "beforeunload",
      (event) => !this.outbox.kept && this.outbox.queue.length && event.preventDefault(),
    );
    onlyHere(`editloop.${this.study.user_id}.${this.study.uid}`, () => this.#park());
    this.notices.update();
    void this.session.start();
  }

  // Items

  /** The state of the current assignment. */
  get state() {
    return reduce(this.study.kind, this.assignment.events, this.task.context);
  }

  /** Whether the current item is on the screen: no key may answer one that is not. */
  get inView() {
    return this.assignment && $("stage").dataset.assignment === this.assignment.uid;
  }

  get busy() {
    return !this.inView || this.screens.reason !== null || this.parked === true;
  }

  async show(assignment) {
    if (assignment === this.assignment && this.screens.reason === null) {
      this.refresh();
      return;
    }
    this.assignment = null;
    delete $("stage").dataset.assignment;
    const slow = setTimeout(() => this.#idle({ reason: "loading" }), SLOW);
    const images = await this.images.loadAll(assignment).catch(() => null);
    clearTimeout(slow);
    if (assignment !== this.session.current) return;
    if (!images) {
      this.#picturesFailed(assignment);
      return;
    }
    this.assignment = assignment;
    this.screens.hide();
    this.#reveal(true);
    this.#task(assignment);
    this.#event("open", {}, { lazy: true });
    if (assignment.revising) this.say(t("revising"));
    this.remark.show(this.state.remark);
    await this.task.show(assignment, images);
    if (assignment !== this.assignment) return; // Something else came while its pictures were being painted.
    this.refresh();
    $("stage").dataset.assignment = assignment.uid;
  }

  /** Draws the current state again. */
  refresh() {
    const { state } = this;
    document.body.dataset.mode = this.task.mode;
    this.task.update(state);
    this.remark.show(state.remark);
    const flag = this.task.flagInView ? this.task.flagInView(state) : state.flag;
    this.flagButton.setAttribute("aria-pressed", Boolean(flag));
    this.flagButton.firstChild.textContent = flag ? t("flagged", { flag: t(`flag_${flag}`) }) : t("flag");
  }

  /** Records an action of the annotator, sends it, and shows the state that follows. */
  emit(kind, data) {
    this.#event(kind, data);
    this.refresh();
  }

  #event(kind, data, options) {
    const { assignment } = this;
    const seq = assignment.events.reduce((most, event) => Math.max(most, event.seq), 0) + 1;
    const event = { key: uuid(), assignment: assignment.uid, seq, kind, data, at: Date.now() };
    assignment.events.push(event);
    if (kind === "submit") this.session.finish();
    this.outbox.add(event, options);
  }

  /** Sends the answer and goes to the next item. */
  finish(answer) {
    this.remark.flush();
    this.#letGo();
    this.#event("submit", { answer: { ...answer, remark: this.state.remark } });
    this.announce(t("submitted"));
    this.assignment = null;
    this.session.show();
  }

  undo() {
    this.remark.flush();
    if (!this.state.actions) {
      void this.back();
      return;
    }
    this.emit("undo", {});
    this.announce(t("undone"));
  }

  async back() {
    if (this.goingBack) return;
    this.goingBack = true;
    const outcome = await this.session.back();
    this.goingBack = false;
    if (outcome === "shown") return;
    this.say(
      { first: t("firstItem"), waiting: t("backWaiting"), unreachable: t("backWaiting") }[outcome] ??
        t("backFailed", { why: outcome }),
    );
  }

  // Server

  async #send(events) {
    return post(this.study.urls.events, { events, ...this.session.wish });
  }

  #outboxChanged() {
    this.notices?.update();
    if (this.screens?.reason === "sending" && !this.outbox.queue.length) this.session.show();
  }

  #refused({ event }) {
    const assignment = this.session.forget(event);
    if (assignment && assignment === this.assignment) this.refresh();
  }

  #used(tool, details) {
    if (!this.busy) this.#event("compare", { tool, ...details }, { lazy: true });
  }

  #extra() {
    this.notices.extra = t("extra");
    this.notices.update();
  }

  // What the page says

  /** Tells a screen reader. */
  announce(text) {
    $("live").textContent = text;
  }

  /** Tells everyone: a line above the stage for a few seconds. */
  say(text) {
    const hint = $("hint");
    hint.textContent = text;
    hint.hidden = false;
    clearTimeout(this.hintTimer);
    this.hintTimer = setTimeout(() => (hint.hidden = true), HINT_TIME);
  }

  #idle(why) {
    this.assignment = null;
    this.#reveal(false);
    this.screens.show(why);
    if (why.reason === "feedback") this.announce([why.feedback.title, why.feedback.words].filter(Boolean).join(". "));
  }

  #reveal(on) {
    for (const id of ["task", "stage", "side"]) $(id).hidden = !on;
    if (!on) $("strip").hidden = true;
  }

  /** Without a total in the answer the last one holds: counting what is left is not worth doing at every key press. */
  #progress({ done, total = this.total ?? null, today }) {
    this.total = total;
    $("count").hidden = false;
    $("progress").hidden = total === null;
    if (total !== null) Object.assign($("progress"), { max: Math.max(1, total), value: Math.min(done, total) });
    const { practice } = this.study;
    const n = Math.min(done + (this.session.feedback ? 0 : 1), total);
    const words = total === null ? t("progressOpen", { done }) : t("progress", { done, total });
    $("progress-text").textContent = practice ? t("practice", { what: practice.label, n, total }) : words;
    $("today").textContent = practice ? "" : t("today", { n: today });
  }

  #task({ case: { instruction, instruction_zh: chinese, requirement, task }, revising }) {
    const lines = [
      h(
        "p",
        { class: "instruction" },
        task && h("span", { class: "badge info" }, task),
        " ",
        instruction,
        revising && h("span", { class: "badge warn" }, t("revising")),
      ),
      chinese && h("p", { class: "muted", lang: "zh" }, chinese),
      requirement && h("p", { class: "requirement muted" }, requirement),
    ];
    $("task").replaceChildren(...lines.filter(Boolean));
  }

  showRubric(dimension) {
    this.rubricOf = dimension;
    $("rubric").hidden = !this.rubricOpen;
    $("rubric").replaceChildren(...rubricView(dimension));
  }

  #toggleRubric() {
    this.rubricOpen = !this.rubricOpen;
    preference.write(`rubric.${this.study.kind}`, this.rubricOpen);
    this.rubricButton.setAttribute("aria-pressed", this.rubricOpen);
    if (this.rubricOf) this.showRubric(this.rubricOf);
  }

  #picturesFailed(assignment) {
    this.#reveal(false);
    this.screens.show({ reason: "refused", sentence: t("pictureFailed") });
    $("screen").firstChild.append(
      h("button", { type: "button", class: "button", onclick: () => this.show(assignment) }, t("tryAgain")),
    );
  }

  #park() {
    this.parked = true;
    this.#reveal(false);
    this.screens.show({ reason: "refused", sentence: t("otherTab") });
    $("screen").firstChild.append(
      h("button", { type: "button", class: "button primary", onclick: () => location.reload() }, t("continueHere")),
    );
  }

  // Buttons and keys

  #tools() {
    this.flagButton = keyButton(t("flag"), "X", () => this.#flag());
    this.rubricButton = keyButton(t("rubric"), "R", () => this.#toggleRubric(), { "aria-pressed": this.rubricOpen });
    $("tools").replaceChildren(
      h(
        "div",
        { class: "tool-row" },
        keyButton(t("undo"), "U", () => this.undo()),
        keyButton(t("previous"), "P", () => this.back()),
        this.flagButton,
        this.rubricButton,
      ),
      this.remark.element,
    );
    $("help-button").addEventListener("click", () => helpDialog(this.task.mode));
    $("guidelines-button")?.addEventListener("click", () => guidelinesDialog(this.study));
  }

  #flag() {
    const { state } = this;
    const letter = this.task.letterToFlag ?? null;
    flagDialog({
      letter,
      flagOf: (target) => (target ? (state.flags[target] ?? null) : state.flag),
      onFlag: (flag, target) => this.emit("flag", target ? { flag, letter: target } : { flag }),
    });
  }

  #keyDown(event) {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (event.target.matches("input, textarea, select")) {
      this.#keyInField(event);
      return;
    }
    if (this.parked) return;
    if (this.busy) {
      if (this.assignment) event.preventDefault(); // Enter would press the control that has the focus already.
      if (this.screens.reason === "done" && letterOf(event) === "U" && !event.ctrlKey && !event.metaKey)
        void this.back();
      return;
    }
    if (this.task.takes?.(event)) {
      event.preventDefault();
      return;
    }
    const found = actionOf(event, this.task.mode);
    if (!found || this.#belongsToButton(event)) return;
    event.preventDefault();
    if (!event.repeat || REPEATING.test(found.action)) this.#act(found);
  }

  /** Enter and Space work the button that the keyboard has gone to; on the answer's own controls they keep their
   * meaning here. */
  #belongsToButton({ key, target }) {
    if (key !== "Enter" && key !== " ") return false;
    return target.closest("button, a, summary") !== null && !target.closest(".options");
  }

  #keyInField(event) {
    if (event.key !== "Escape" && event.key !== "Enter") return;
    event.preventDefault();
    event.target.blur();
    this.task.home?.();
  }

  #keyUp(event) {
    const name = nameOf(event);
    if (name === "Space") this.compare.hold(false);
    if (letterOf(event) === "S") this.compare.swap(false);
  }

  #letGo() {
    this.compare.hold(false);
    this.compare.swap(false);
  }

  #act({ action, ...details }) {
    const own = {
      undo: () => this.undo(),
      previous: () => this.back(),
      flag: () => this.#flag(),
      remark: () => this.remark.focus(),
      rubric: () => this.#toggleRubric(),
      guidelines: () => this.study.guidelines && guidelinesDialog(this.study),
      help: () => helpDialog(this.task.mode),
    };
    if (action in own) own[action]();
    else if (!this.compare.act(action)) this.task.act(action, details);
  }

  /** After a click on one of the tools the keys answer again; a press by keyboard leaves the focus where it is. */
  #afterClick(event) {
    if (
      event.detail > 0 &&
      !this.busy &&
      event.target.closest("#stage button, #side button, #strip button") &&
      !document.querySelector("dialog[open]")
    )
      this.task.home?.();
  }
}
