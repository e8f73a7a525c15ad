/* The difference of two pictures as a heat map: the largest difference of the three channels, times a gain. */

export const GAINS = [1, 4, 8];

// Black, violet, red, yellow, white: lightness rises all the way, so the map reads without colour vision too.
const STOPS = [
  [0, [0, 0, 0]],
  [0.25, [70, 20, 110]],
  [0.5, [190, 40, 75]],
  [0.75, [245, 150, 35]],
  [1, [255, 255, 230]],
];

function colour(share) {
  const upper = STOPS.findIndex(([at]) => at >= share);
  if (upper <= 0) return STOPS[0][1];
  const [from, low] = STOPS[upper - 1];
  const [to, high] = STOPS[upper];
  return low.map((value, channel) => Math.round(value + ((high[channel] - value) * (share - from)) / (to - from)));
}

const PALETTE = Array.from({ length: 256 }, (_, level) => colour(level / 255));

/** The heat map of two RGBA arrays of one size.
 * @param {Uint8ClampedArray} one @param {Uint8ClampedArray} other @param {number} gain
 * @returns {Uint8ClampedArray} RGBA, opaque */
export function heatPixels(one, other, gain) {
  const heat = new Uint8ClampedArray(one.length);
  for (let at = 0; at < one.length; at += 4) {
    const difference = Math.max(
      Math.abs(one[at] - other[at]),
      Math.abs(one[at + 1] - other[at + 1]),
      Math.abs(one[at + 2] - other[at + 2]),
    );
    const [red, green, blue] = PALETTE[Math.min(255, difference * gain)];
    heat[at] = red;
    heat[at + 1] = green;
    heat[at + 2] = blue;
    heat[at + 3] = 255;
  }
  return heat;
}

function pixels(image, width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

/** Draws the heat map of two decoded pictures on a canvas, at the size of the first (the source). */
export function drawHeat(canvas, source, edit, gain) {
  const [width, height] = [source.naturalWidth, source.naturalHeight];
  canvas.width = width;
  canvas.height = height;
  const heat = heatPixels(pixels(source, width, height), pixels(edit, width, height), gain);
  canvas.getContext("2d").putImageData(new ImageData(heat, width, height), 0, 0);
}
