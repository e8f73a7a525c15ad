/* Events on their way to the server. Each is written to the browser's storage before it is sent, under a name of its
   own, and leaves it only when the server has listed its key as saved. So nothing is lost by a reload, a crash or a
   dead server, and two tabs cannot overwrite each other's queue; sending a key twice has no effect on the server.

   A refused event is not sent again: it is kept, with the server's sentence, until the annotator has put it away. */
import { pause } from "./dom.js";

const BATCH = 50;
const LAZY = 2_000;
const FIRST_RETRY = 500;
const LAST_RETRY = 30_000;

/** The entries of a storage under a prefix, in the order they were written; broken entries are left alone. */
function stored(storage, prefix) {
  const names = Array.from({ length: storage.length }, (_, index) => storage.key(index)).filter((name) =>
    name.startsWith(prefix),
  );
  return names.sort().flatMap((name) => {
    try {
      return [{ name, ...JSON.parse(storage.getItem(name)) }];
    } catch {
      return [];
    }
  });
}

export class Outbox {
  /** @param {object} options
   *  prefix: storage prefix, with the user's id and the study's uid in it
   *  send: events => outcome of api.js's post; onReply: reply => void, for the rest of a good answer
   *  onRefused: ({event, error}) => void; onChange: () => void, whenever `status` may have changed */
  constructor({
    prefix,
    send,
    onReply = () => {},
    onRefused = () => {},
    onChange = () => {},
    storage = localStorage,
    firstRetry = FIRST_RETRY,
  }) {
    Object.assign(this, { prefix, send, onReply, onRefused, onChange, storage, firstRetry });
    this.queuePrefix = `${prefix}.queue.`;
    this.refusedPrefix = `${prefix}.refused.`;
    this.queue = stored(storage, this.queuePrefix);
    this.refused = stored(storage, this.refusedPrefix);
    this.failures = 0;
    this.signedOut = null;
    this.kept = true;
    this.savedOnce = false;
    this.limit = BATCH;
    this.counter = 0;
  }

  /** "saved": everything is with the server; "sending"; "retrying"; "signed-out"; "idle": nothing was sent yet. */
  get status() {
    if (this.signedOut) return "signed-out";
    if (this.failures) return "retrying";
    if (this.queue.length) return "sending";
    return this.savedOnce ? "saved" : "idle";
  }

  /** The unsent events of one assignment, in order. */
  waitingFor(assignment) {
    return this.queue.filter(({ event }) => event.assignment === assignment).map(({ event }) => event);
  }

  /** Keeps an event and sends it: at once, or (lazy) with the next one or after a few seconds. */
  add(event, { lazy = false } = {}) {
    const name = this.#write(this.queuePrefix, { event });
    this.queue.push({ name, event });
    this.onChange();
    if (!lazy) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), LAZY);
  }

  /** Puts a refused event away after the annotator has read why. */
  dismiss(name) {
    this.refused = this.refused.filter((one) => one.name !== name);
    this.#remove(name);
    this.onChange();
  }

  /** Tries again at once instead of waiting for the next retry. */
  wake() {
    this.waiting?.wake();
    this.flush();
  }

  /** Starts to send, unless that is under way, and goes on until nothing waits. */
  flush() {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.running) return;
    this.running = true;
    void this.#run();
  }

  /** Sends now and waits for the outcome: true when nothing is left, false when the server could not be reached. */
  async settle() {
    this.wake();
    while (this.queue.length && !this.failures && !this.signedOut) await this.attempt;
    return this.queue.length === 0;
  }

  async #run() {
    try {
      while (this.queue.length && !this.signedOut) {
        this.attempt = this.#sendBatch(this.queue.slice(0, this.limit));
        await this.attempt;
        if (!this.failures) continue;
        this.waiting = pause(Math.min(LAST_RETRY, this.firstRetry * 2 ** (this.failures - 1)));
        await this.waiting;
      }
    } finally {
      this.running = false;
      this.limit = BATCH;
    }
  }

  async #sendBatch(batch) {
    const outcome = await this.send(batch.map(({ event }) => event));
    if (outcome.ok) this.#settled(batch, outcome.data);
    else if (outcome.reason === "signed-out" || outcome.reason === "step") this.signedOut = { error: outcome.error };
    else if (outcome.reason === "refused" && batch.length > 1)
      this.limit = 1; // One by one: only the bad event is refused.
    else if (outcome.reason === "refused") this.#refuse(batch[0], outcome.error);
    else this.failures += 1;
    this.onChange();
  }

  #settled(batch, reply) {
    const saved = new Set(reply.saved ?? []);
    const refusals = new Map((reply.refused ?? []).map(({ key, error }) => [key, error]));
    const known = batch.filter(({ event }) => saved.has(event.key) || refusals.has(event.key));
    for (const entry of known) {
      if (saved.has(entry.event.key)) this.#drop(entry);
      else this.#refuse(entry, refusals.get(entry.event.key));
    }
    this.savedOnce ||= saved.size > 0;
    // An answer that names none of the events would be asked for without end: it counts as a failure.
    this.failures = known.length ? 0 : this.failures + 1;
    this.onReply(reply);
  }

  #refuse(entry, error) {
    this.#drop(entry);
    const refusal = { event: entry.event, error };
    this.refused.push({ name: this.#write(this.refusedPrefix, refusal), ...refusal });
    this.failures = 0;
    this.onRefused(refusal);
  }

  #drop(entry) {
    this.queue = this.queue.filter((one) => one !== entry);
    this.#remove(entry.name);
  }

  #write(prefix, content) {
    this.counter += 1;
    const order = [String(Date.now()).padStart(15, "0"), String(this.counter).padStart(6, "0")];
    const name = `${prefix}${order.join(".")}.${content.event.key}`;
    try {
      this.storage.setItem(name, JSON.stringify(content));
    } catch {
      this.kept = false; // Full or forbidden: the event lives in this page only, and the page says so.
    }
    return name;
  }

  #remove(name) {
    try {
      this.storage.removeItem(name);
    } catch {
      // It could not be written either.
    }
  }
}
