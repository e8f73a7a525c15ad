/* The small pictures of a group: one button for each letter, which moves between the shelves and along the strip. */
import { h } from "./dom.js";
import { draggable } from "./drag.js";
import { isSmall } from "./view_math.js";
import { t } from "./text.js";

export class Thumbs {
  /** @param {Map<string, HTMLImageElement>} images decoded pictures by letter
   * @param {{onPick: (letter: string) => void, onDrop: (letter: string, target: object) => void}} handlers */
  constructor(letters, images, { onPick, onDrop }) {
    this.byLetter = new Map(letters.map((letter) => [letter, this.#thumb(letter, images.get(letter), onPick, onDrop)]));
  }

  get(letter) {
    return this.byLetter.get(letter);
  }

  #thumb(letter, image, onPick, onDrop) {
    const picture = h("img", {
      src: image.src,
      alt: "",
      draggable: "false",
      class: isSmall({ width: image.naturalWidth, height: image.naturalHeight }) && "pixelated",
    });
    const thumb = h(
      "button",
      { type: "button", class: "thumb", "data-letter": letter, onclick: () => onPick(letter) },
      picture,
      h("span", { class: "thumb-letter" }, letter),
      h("span", { class: "thumb-flag", "aria-hidden": "true" }, "⚑"),
    );
    let marked = null;
    const mark = (element, name) => {
      marked?.removeAttribute("data-drop");
      marked = element;
      if (element) element.dataset.drop = name;
    };
    draggable(thumb, {
      over: (under, x) => {
        const target = targetOf(under, x, letter);
        mark(target?.element ?? null, target?.name);
      },
      drop: (under, x) => {
        const target = targetOf(under, x, letter);
        if (target) onDrop(letter, target);
      },
      end: () => mark(null),
    });
    return thumb;
  }

  /** Marks the image in view, the flagged ones, and says where each one is. */
  update({ inView, shelves, flags, grabbed = false }) {
    for (const [letter, thumb] of this.byLetter) {
      thumb.setAttribute("aria-pressed", letter === inView);
      thumb.classList.toggle("grabbed", grabbed && letter === inView);
      thumb.classList.toggle("flagged", letter in flags);
      const place = letter in shelves ? t("imageOnShelf", { letter, shelf: shelves[letter] }) : t("image", { letter });
      thumb.setAttribute(
        "aria-label",
        letter in flags ? `${place}, ${t("flagged", { flag: t(`flag_${flags[letter]}`) })}` : place,
      );
    }
  }
}

/** Where a drop would go: onto the middle of a thumb in the strip (a tie), beside it, or on a shelf. */
function targetOf(under, x, letter) {
  const shelf = under?.closest("[data-shelf]");
  if (!shelf) return null;
  const number = Number(shelf.dataset.shelf);
  const thumb = under.closest(".thumb");
  if (!thumb || thumb.dataset.letter === letter || !shelf.matches(".strip-shelf"))
    return { shelf: number, before: null, element: shelf, name: "shelf" };
  const { left, width } = thumb.getBoundingClientRect();
  const share = (x - left) / width;
  const other = thumb.dataset.letter;
  if (share > 0.25 && share < 0.75) return { tie: other, element: thumb, name: "tie" };
  return {
    beside: other,
    after: share >= 0.75,
    shelf: number,
    element: thumb,
    name: share < 0.25 ? "before" : "after",
  };
}
