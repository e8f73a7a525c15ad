/* Sizes and positions of the pictures on the stage. Pure; lengths in CSS pixels.

   "pixel" is the number of CSS pixels that one image pixel takes; the offset is the distance of the picture's middle
   from the pane's middle. All panes of the stage share both, so they zoom and pan together. */

export const SMALL = 128;
export const LARGEST = 1024;

export const isSmall = ({ width, height }) => Math.max(width, height) <= SMALL;

/** CSS pixels per image pixel when nothing is zoomed: 1:1 up to 1024 px, less if the pane is smaller, and for small
 * pictures (up to 128 px) the largest whole factor that fits. */
export function basePixel(image, pane) {
  const fit = Math.min(pane.width / image.width, pane.height / image.height);
  if (isSmall(image)) return Math.max(1, Math.floor(Math.min(fit, LARGEST / Math.max(image.width, image.height))));
  return Math.min(1, fit, LARGEST / Math.max(image.width, image.height));
}

/** What Z goes through: fitted, then 1:1, 2:1 and 4:1 (small pictures: one, two and four times the fitted factor). */
export function zoomStops(image, pane) {
  const base = basePixel(image, pane);
  if (isSmall(image)) return [base, 2 * base, 4 * base];
  return [base, ...[1, 2, 4].filter((stop) => stop > base * 1.05)];
}

export function nextStop(pixel, image, pane) {
  const stops = zoomStops(image, pane);
  return stops.find((stop) => stop > pixel * 1.01) ?? stops[0];
}

/** One step of + or -; small pictures stay at whole factors so that every image pixel is a square. */
export function zoomStep(pixel, direction, image, pane) {
  const base = basePixel(image, pane);
  const most = isSmall(image) ? 8 * base : 16;
  const step = isSmall(image) ? pixel + direction * Math.max(1, Math.round(pixel / 4)) : pixel * 1.25 ** direction;
  return Math.min(most, Math.max(base, step));
}

/** Keeps the picture over the pane: no offset where it fits, and no further than its edge where it does not. */
export function clampOffset(offset, pixel, image, pane) {
  const limit = (size, room) => Math.max(0, (size * pixel - room) / 2);
  const clamp = (value, most) => Math.min(most, Math.max(-most, value));
  return { x: clamp(offset.x, limit(image.width, pane.width)), y: clamp(offset.y, limit(image.height, pane.height)) };
}

/** The offset after a zoom that keeps the point of the picture under `point` (from the pane's middle) where it is. */
export function zoomOffset(offset, from, to, point = { x: 0, y: 0 }) {
  const ratio = to / from;
  return { x: point.x - (point.x - offset.x) * ratio, y: point.y - (point.y - offset.y) * ratio };
}

/** The picture's rectangle in the pane, on whole pixels. */
export function placement(offset, pixel, image, pane) {
  const width = Math.round(image.width * pixel);
  const height = Math.round(image.height * pixel);
  return {
    width,
    height,
    left: Math.round((pane.width - width) / 2 + offset.x),
    top: Math.round((pane.height - height) / 2 + offset.y),
  };
}
