/* Mouse, pen and touch on a pane: drag to move the pictures or the wipe, wheel and pinch to zoom. */

const NEAR_WIPE = 24;

const middleOf = (view) => {
  const box = view.getBoundingClientRect();
  return { x: box.left + box.width / 2, y: box.top + box.height / 2, box };
};

const pageScrolls = () => document.scrollingElement.scrollHeight > document.scrollingElement.clientHeight + 4;

function onWheel(view, compare) {
  return (event) => {
    // Where the page itself scrolls (narrow or enlarged windows), the wheel belongs to the page.
    if (pageScrolls() && !event.ctrlKey) return;
    event.preventDefault();
    const middle = middleOf(view);
    compare.zoomBy(event.deltaY < 0 ? 1 : -1, { x: event.clientX - middle.x, y: event.clientY - middle.y });
  };
}

/** Attaches the gestures of one pane. compare: panBy(dx, dy), zoomBy(direction, point), zoomTo(ratio, point), wipe
 * (share or null), wipeTo(share), zoomed, edgeOf(pane): the wipe's distance from the pane's left edge. */
export function attachGestures(pane, compare) {
  const { view } = pane;
  const fingers = new Map();
  let wiping = false;
  let spread = 0;

  const shareAt = (clientX) => compare.shareAt(pane, clientX - view.getBoundingClientRect().left);

  view.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    view.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const distance = Math.abs(event.clientX - view.getBoundingClientRect().left - compare.edgeOf(pane));
    wiping = compare.wipe !== null && pane.role === "edit" && (distance < NEAR_WIPE || !compare.zoomed);
    if (wiping) compare.wipeTo(shareAt(event.clientX));
    spread = 0;
  });

  view.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (fingers.size === 2) pinch();
    else if (wiping) compare.wipeTo(shareAt(event.clientX));
    else compare.panBy(event.clientX - before.x, event.clientY - before.y);
  });

  function pinch() {
    const [one, other] = fingers.values();
    const now = Math.hypot(one.x - other.x, one.y - other.y);
    const middle = middleOf(view);
    if (spread)
      compare.zoomTo(now / spread, { x: (one.x + other.x) / 2 - middle.x, y: (one.y + other.y) / 2 - middle.y });
    spread = now;
  }

  const lift = (event) => {
    fingers.delete(event.pointerId);
    spread = 0;
    wiping = false;
  };
  view.addEventListener("pointerup", lift);
  view.addEventListener("pointercancel", lift);
  view.addEventListener("wheel", onWheel(view, compare), { passive: false });
  pane.handle.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    event.stopPropagation();
    compare.wipeTo(compare.wipe + (event.key === "ArrowLeft" ? -0.02 : 0.02));
  });
}
