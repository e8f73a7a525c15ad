/* Which assignments this page holds, and what comes next. The first held one is current; the others wait with
   their pictures. */
import { post } from "./api.js";

const HOLD = 5;
const AGAIN = 3_000;

export class Session {
  /** @param {object} options
   *  study: the page's study; outbox; images
   *  onShow: assignment => void, when another one becomes current
   *  onIdle: ({reason, sentence, until, …}) => void, with reason "loading", "sending", "break", "done", "step",
   *    "feedback", "unreachable", "signed-out" or "refused"
   *  onProgress: progress => void; onExtra: () => void, when work came too late for its lease and was kept as extra */
  constructor({ study, outbox, images, onShow, onIdle, onProgress, onExtra }) {
    Object.assign(this, { study, outbox, images, onShow, onIdle, onProgress, onExtra });
    this.held = [];
    this.submitted = new Map(); // Sent but not confirmed: kept so that a refused answer can be returned to.
    this.done = null;
    this.pauseUntil = null;
    this.step = null; // A page that comes before more work: {title, sentence, go}.
    this.feedback = null; // On the last answer in training, until the annotator goes on.
  }

  get current() {
    return this.held[0] ?? null;
  }

  /** What every request says: the assignments that this page has, and how many it wants to have in all. */
  get wish() {
    const have = [...this.held.map(({ uid }) => uid), ...this.submitted.keys()];
    const refused = [...this.submitted.values()].filter((assignment) => assignment.refused).length;
    return { have, want: (this.study.practice ? 1 : HOLD) + refused };
  }

  /** Sends what an earlier visit left, then asks for work. */
  async start() {
    this.onIdle({ reason: "loading" });
    await this.outbox.settle();
    await this.fetchNext();
  }

  async fetchNext() {
    clearTimeout(this.timer);
    if (this.fetching) return;
    this.fetching = true;
    const outcome = await post(this.study.urls.next, this.wish);
    this.fetching = false;
    if (outcome.ok) this.accept(outcome.data);
    else if (!this.current) {
      this.onIdle({ reason: outcome.reason, sentence: outcome.error, go: outcome.go });
      if (outcome.reason === "unreachable") this.timer = setTimeout(() => this.fetchNext(), AGAIN);
    }
  }

  /** Takes in the part of an answer that is not about saved events. */
  accept(reply) {
    const before = this.current;
    const known = new Set(this.wish.have);
    for (const assignment of reply.assignments ?? []) {
      if (!known.has(assignment.uid)) this.#hold(assignment);
    }
    for (const [uid, outcome] of Object.entries(reply.submitted ?? {})) {
      this.submitted.delete(uid);
      if (outcome === "extra") this.onExtra();
    }
    this.done = reply.done ?? null;
    this.pauseUntil = reply.break ?? null;
    this.step = reply.step ?? null;
    this.feedback = reply.feedback ?? this.feedback;
    if (reply.progress) this.onProgress(reply.progress);
    this.#prefetch();
    if (!before || ((this.pauseUntil || this.step) && !this.#begun(before))) this.show();
  }

  /** An assignment whose answer still waits in this browser is finished work, not work to do. */
  #hold(assignment) {
    const known = new Set(assignment.events.map(({ key }) => key));
    const waiting = this.outbox.waitingFor(assignment.uid).filter(({ key }) => !known.has(key));
    assignment.events.push(...waiting);
    if (waiting.some(({ kind }) => kind === "submit")) this.submitted.set(assignment.uid, assignment);
    else this.held.push(assignment);
  }

  #begun(assignment) {
    return assignment.events.some(({ kind }) => kind !== "open");
  }

  #prefetch() {
    this.images.keepOnly([...this.held, ...this.submitted.values()]);
    if (this.current) this.images.loadAll(this.current).catch(() => {});
    void this.images.loadAhead(this.held);
  }

  /** Shows the current assignment, or says why there is none. Never "done" while an answer waits in this browser. */
  show() {
    const until = this.pauseUntil ? Date.parse(this.pauseUntil.until) : 0;
    const between = !this.current || !this.#begun(this.current);
    if (this.feedback && between) this.onIdle({ reason: "feedback", feedback: this.feedback });
    else if (this.step && between && !this.outbox.queue.length) this.onIdle({ reason: "step", ...this.step });
    else if (until > Date.now() && between) this.onIdle({ reason: "break", sentence: this.pauseUntil.sentence, until });
    else if (this.current) this.onShow(this.current);
    else if (this.outbox.queue.length) this.onIdle({ reason: "sending" });
    else if (this.done) this.onIdle({ reason: "done", sentence: this.done });
    else this.#askAgain();
  }

  #askAgain() {
    this.onIdle({ reason: "loading" });
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fetchNext(), this.asked ? AGAIN : 0);
    this.asked = true;
  }

  /** After a break or feedback: the item that waits, or the next one. */
  resume() {
    this.pauseUntil = this.feedback = null;
    if (this.current || this.step) this.show();
    if (!this.step) void this.fetchNext();
  }

  /** The current assignment is answered: goes to the next one. Call before its submit event is sent. */
  finish() {
    const finished = this.held.shift();
    this.submitted.set(finished.uid, finished);
    this.asked = false;
  }

  /** The annotator's previous answer, open for revision.
   * @returns {Promise<string>} "shown", "first" (there is none before), "waiting" (answers are unsent) or why not */
  async back() {
    if (!(await this.outbox.settle())) return "waiting";
    const outcome = await post(this.study.urls.back, { before: this.current?.uid ?? null });
    if (!outcome.ok) return outcome.error ?? "unreachable";
    const { assignment } = outcome.data;
    if (!assignment) return "first";
    this.held = [assignment, ...this.held.filter(({ uid }) => uid !== assignment.uid)];
    this.submitted.delete(assignment.uid);
    this.#prefetch();
    this.show();
    return "shown";
  }

  /** A refused event never happened: takes it out of its assignment. */
  forget({ assignment: uid, key }) {
    const assignment = this.#find(uid);
    if (!assignment) return null;
    assignment.events = assignment.events.filter((event) => event.key !== key);
    assignment.refused = this.submitted.has(uid);
    return assignment;
  }

  /** Shows an assignment again whose answer was refused. */
  reopen(uid) {
    const assignment = this.submitted.get(uid);
    this.submitted.delete(uid);
    this.held.unshift(assignment);
    this.show();
  }

  /** The annotator has read why an answer was refused and goes on: the item comes again later. */
  postpone(uid) {
    if (!this.canReopen(uid)) return;
    this.held.push(this.submitted.get(uid));
    this.submitted.delete(uid);
    if (this.held.length === 1) this.show();
  }

  /** Whether a refused answer can still be returned to. */
  canReopen(uid) {
    return this.submitted.get(uid)?.refused === true;
  }

  #find(uid) {
    return this.submitted.get(uid) ?? this.held.find((assignment) => assignment.uid === uid);
  }
}
