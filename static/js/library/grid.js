/* The grid of a case: a column for each editor. All pictures share zoom and position, and all show the source while
   Space or the button is held. */
import { $ } from "../work/dom.js";

const STOPS = [1, 2, 4, 8];
const PAN_STEP = 8; // percent of the picture
const PANS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const limited = (percent) => Math.min(100, Math.max(0, percent));

class Grid {
  constructor(root) {
    this.root = root;
    this.stop = 0;
    this.at = { x: 50, y: 50 };
    this.holdButton = $("grid-hold");
    const source = root.querySelector(".lens.source img");
    for (const lens of root.querySelectorAll(".lens:not(.source)")) {
      const copy = source.cloneNode();
      copy.classList.add("held");
      copy.alt = "";
      lens.append(copy);
    }
    root.addEventListener("pointermove", (event) => this.#follow(event));
    this.holdButton.addEventListener("pointerdown", () => this.hold(true));
    this.holdButton.addEventListener("click", (event) => {
      if (event.detail === 0) this.hold(!this.held); // By keyboard or a screen reader: on, and off again.
    });
    for (const type of ["pointerup", "pointercancel", "blur"]) addEventListener(type, () => this.hold(false));
    $("grid-in").addEventListener("click", () => this.zoomTo(this.stop + 1));
    $("grid-out").addEventListener("click", () => this.zoomTo(this.stop - 1));
    $("grid-zoom").addEventListener("click", () => this.zoomTo((this.stop + 1) % STOPS.length));
    document.addEventListener("keydown", (event) => this.#keyDown(event));
    document.addEventListener("keyup", (event) => {
      if (event.key === " " && event.target !== this.holdButton) this.hold(false);
    });
  }

  get held() {
    return this.root.classList.contains("showing-source");
  }

  hold(on) {
    this.root.classList.toggle("showing-source", on);
    this.holdButton.setAttribute("aria-pressed", on);
  }

  zoomTo(stop) {
    this.stop = Math.min(STOPS.length - 1, Math.max(0, stop));
    this.root.classList.toggle("zoomed", this.stop > 0);
    this.root.style.setProperty("--zoom", STOPS[this.stop]);
    $("grid-zoom").firstElementChild.textContent = `${100 * STOPS[this.stop]} %`;
  }

  lookAt(x, y) {
    this.at = { x: limited(x), y: limited(y) };
    this.root.style.setProperty("--x", `${this.at.x}%`);
    this.root.style.setProperty("--y", `${this.at.y}%`);
  }

  /** While zoomed, the place under the pointer is in the middle of attention in every picture. */
  #follow(event) {
    const lens = this.stop ? event.target.closest(".lens") : null;
    if (!lens) return;
    const box = lens.getBoundingClientRect();
    this.lookAt((100 * (event.clientX - box.left)) / box.width, (100 * (event.clientY - box.top)) / box.height);
  }

  #keyDown(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, button, summary")) return;
    const actions = {
      " ": () => this.hold(true),
      z: () => this.zoomTo((this.stop + 1) % STOPS.length),
      "+": () => this.zoomTo(this.stop + 1),
      "=": () => this.zoomTo(this.stop + 1),
      "-": () => this.zoomTo(this.stop - 1),
    };
    if (this.stop && event.key in PANS) {
      const [x, y] = PANS[event.key];
      this.lookAt(this.at.x + PAN_STEP * x, this.at.y + PAN_STEP * y);
    } else if (event.key.toLowerCase() in actions) {
      if (!event.repeat) actions[event.key.toLowerCase()]();
    } else return;
    event.preventDefault();
  }
}

const root = $("grid");
if (root) new Grid(root);
