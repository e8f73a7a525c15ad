/* Small helpers for charts drawn as SVG elements. */
const SPACE = "http://www.w3.org/2000/svg";

export function draw(parent, name, attributes, words) {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (words !== undefined) element.textContent = words;
  parent.append(element);
  return element;
}

/* A line from one range to another. */
export function scale(from, to) {
  return (value) => to[0] + ((value - from[0]) * (to[1] - to[0])) / (from[1] - from[0] || 1);
}
