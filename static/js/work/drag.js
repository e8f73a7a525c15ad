/* Dragging by pointer events, so that mouse, pen and touch are alike. A press that does not move is a click. */

const THRESHOLD = 6;

/** Makes an element draggable.
 * @param {HTMLElement} element
 * @param {{over: (under: Element|null, x: number) => void, drop: (under: Element|null, x: number) => void,
 *   end: () => void}} handlers under: what lies under the pointer, without the dragged image itself */
export function draggable(element, { over, drop, end }) {
  let start = null;
  let ghost = null;

  const under = (event) => document.elementFromPoint(event.clientX, event.clientY);

  const begin = () => {
    const box = element.getBoundingClientRect();
    ghost = element.cloneNode(true);
    ghost.classList.add("ghost");
    ghost.setAttribute("aria-hidden", "true");
    Object.assign(ghost.style, { width: `${box.width}px`, height: `${box.height}px` });
    document.body.append(ghost);
    element.classList.add("dragged");
  };

  const finish = () => {
    ghost?.remove();
    element.classList.remove("dragged");
    start = null;
    ghost = null;
    end();
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    start = { x: event.clientX, y: event.clientY };
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    if (!start) return;
    if (!ghost && Math.hypot(event.clientX - start.x, event.clientY - start.y) < THRESHOLD) return;
    if (!ghost) begin();
    const box = ghost.getBoundingClientRect();
    ghost.style.transform = `translate(${event.clientX - box.width / 2}px, ${event.clientY - box.height / 2}px)`;
    over(under(event), event.clientX);
  });
  element.addEventListener("pointerup", (event) => {
    const dragged = ghost !== null;
    const target = under(event);
    finish();
    if (!dragged) return;
    // The click that follows a drag is not a choice.
    element.addEventListener("click", (click) => click.stopImmediatePropagation(), { capture: true, once: true });
    drop(target, event.clientX);
  });
  element.addEventListener("pointercancel", finish);
  element.addEventListener("dragstart", (event) => event.preventDefault());
}
