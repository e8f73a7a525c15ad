/* The viewing check: puts what the browser says of its window into the form, and shows it while the window is changed.
   The server computes the zoom again from the same figures (annotation/entry/viewing.py). */
const form = document.getElementById("viewing");
const LEVELS = [25, 30, 33, 50, 67, 75, 80, 90, 100, 110, 120, 125, 133, 150, 170, 175, 200, 240, 250, 300, 400, 500];
const DENSITIES = [1, 1.25, 1.3125, 1.5, 1.75, 2, 2.25, 2.5, 2.625, 2.75, 3, 3.5, 4];
const NEAR = 0.04;

export const measures = () => ({
  inner_width: innerWidth,
  inner_height: innerHeight,
  outer_width: outerWidth,
  outer_height: outerHeight,
  screen_width: screen.width,
  screen_height: screen.height,
  ratio: devicePixelRatio,
  pinch: visualViewport?.scale ?? 1,
});

/** The browser's zoom in per cent, or null where it cannot be told; see zoom_of in annotation/entry/viewing.py. */
export function zoomOf({ inner_width: inner, outer_width: outer, ratio }) {
  if (Math.min(inner, outer, ratio) <= 0) return null;
  const quotient = (100 * outer) / inner;
  const off = (level) => Math.abs(Math.log(quotient / level));
  const zoom = LEVELS.reduce((best, level) => (off(level) < off(best) ? level : best));
  if (Math.abs(quotient / zoom - 1) > NEAR) return null;
  const density = (100 * ratio) / zoom;
  return DENSITIES.some((usual) => Math.abs(density / usual - 1) < NEAR) ? zoom : null;
}

function show() {
  const found = measures();
  for (const [name, value] of Object.entries(found)) form.elements[name].value = value;
  const zoom = zoomOf(found);
  const place = document.getElementById("viewing-zoom");
  place.textContent = zoom === null ? place.dataset.unknown : `${zoom} %`;
  document.getElementById("viewing-width").textContent = found.inner_width;
}

if (form) {
  show();
  addEventListener("resize", show);
  visualViewport?.addEventListener("resize", show);
  form.addEventListener("submit", show);
}
