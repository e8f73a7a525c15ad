/* One or two candidates of a case over each other and over the source, with the stage of the annotation pages. Nothing
   is recorded. What is shown stands in the address. */
import { Compare } from "../work/compare.js";
import { $, jsonScript } from "../work/dom.js";
import { Images } from "../work/images.js";
import { actionOf } from "../work/keymap.js";
import { t } from "../work/text.js";

const LETTERS = ["A", "B"];
const HINT_TIME = 5_000;

class ComparePage {
  constructor(value) {
    this.value = value;
    this.images = new Images();
    this.compare = new Compare($("stage"), { onUse: () => {}, say: (text) => this.say(text) });
    this.shown = value.shown;
    this.selects = [$("first"), $("second")];
    for (const select of this.selects) select.addEventListener("change", () => this.#chosen());
    document.addEventListener("keydown", (event) => this.#keyDown(event));
    document.addEventListener("keyup", () => this.#letGo());
    addEventListener("blur", () => this.#letGo());
  }

  say(text) {
    const hint = $("hint");
    hint.textContent = text;
    hint.hidden = false;
    clearTimeout(this.hintTimer);
    this.hintTimer = setTimeout(() => (hint.hidden = true), HINT_TIME);
  }

  #chosen() {
    this.shown = this.selects.map(({ value }) => value).filter(Boolean);
    void this.show(false);
  }

  /** Shows the chosen candidates. Of several calls the last one counts, however long the pictures take. */
  async show(reset) {
    const ticket = (this.ticket = Symbol("show"));
    const rows = this.shown.map((uid) => this.value.candidates.find((row) => row.uid === uid));
    this.selects.forEach((select, index) => (select.value = this.shown[index] ?? ""));
    $("details").href = rows[0].url;
    history.replaceState(null, "", "?" + this.shown.map((uid) => `show=${uid}`).join("&"));
    try {
      const urls = [this.value.source, ...rows.map((row) => row.image)].map(({ url }) => this.images.load(url));
      const [source, ...pictures] = await Promise.all(urls);
      if (ticket !== this.ticket) return;
      const edits = rows.map(({ label }, index) => ({ letter: LETTERS[index], label, image: pictures[index] }));
      await this.compare.show({ source, edits, reset });
      $("stage").dataset.shown = this.shown.join(" ");
    } catch {
      if (ticket === this.ticket) this.say(t("pictureFailed"));
    }
  }

  /** The candidate before or after the first one; the second stays. */
  #step(by) {
    const { candidates } = this.value;
    const now = candidates.findIndex((row) => row.uid === this.shown[0]);
    const next = candidates[(now + by + candidates.length) % candidates.length];
    this.shown = [next.uid, ...this.shown.slice(1)];
    void this.show(false);
  }

  #keyDown(event) {
    if (event.target instanceof HTMLSelectElement) return;
    const button = event.target instanceof HTMLButtonElement || event.target instanceof HTMLAnchorElement;
    if (button && (event.key === " " || event.key === "Enter")) return;
    const found = actionOf(event, "pairwise");
    if (!found) return;
    const { action } = found;
    if (event.repeat && !/^(pan|zoom(In|Out)|left|right)/.test(action)) {
      event.preventDefault();
      return;
    }
    if (action === "left" || action === "right") this.#step(action === "left" ? -1 : 1);
    else if (!this.compare.act(action)) return;
    event.preventDefault();
  }

  #letGo() {
    this.compare.hold(false);
    this.compare.swap(false);
  }
}

const value = jsonScript("comparison");
if (value?.candidates.length) void new ComparePage(value).show(true);
