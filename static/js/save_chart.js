/* Saves a chart as an SVG file. A button [data-save-svg] stands in an element with data-chart, the name of the file, and
   an <svg>. What the stylesheet gives is written into the copy, in the colours of paper; what the page says of demo or
   simulated data goes into the picture. */
const NAMESPACE = "http://www.w3.org/2000/svg";
const PROPERTIES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity", "font-family", "font-size", "font-style", "font-weight"];
const LINE = 14; // height of a line of the notice
const LETTER = 6; // width of its letters, about

function make(name, attributes, text = "") {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

/* The words in lines of at most `most` letters. */
export function wrap(words, most) {
  const lines = [];
  for (const word of words.split(/\s+/).filter(Boolean)) {
    const last = lines.length - 1;
    if (last >= 0 && lines[last].length + word.length < most) lines[last] += ` ${word}`;
    else lines.push(word);
  }
  return lines;
}

/* A copy that needs neither stylesheet nor page. */
export function standalone(svg, notice = "") {
  const copy = svg.cloneNode(true);
  const stage = document.createElement("div");
  stage.className = "chart-saving";
  stage.append(copy);
  svg.parentNode.append(stage);
  for (const element of copy.querySelectorAll("*")) write(element);
  stage.remove();
  for (const link of copy.querySelectorAll("a")) link.replaceWith(...link.childNodes);
  const [left, top, width, height] = (copy.getAttribute("viewBox") ?? `0 0 ${svg.clientWidth} ${svg.clientHeight}`).split(/[\s,]+/).map(Number);
  const lines = wrap(notice, width / LETTER);
  const whole = height + lines.length * LINE + (lines.length ? 6 : 0);
  lines.forEach((line, place) => copy.append(make("text", { x: left + 4, y: top + height + LINE * (place + 1), "font-size": 10, "font-family": "sans-serif", fill: "#56606a" }, line)));
  copy.prepend(make("title", {}, svg.getAttribute("aria-label") ?? ""), make("rect", { x: left, y: top, width, height: whole, fill: "#ffffff" }));
  for (const name of ["class", "id", "style", "tabindex"]) copy.removeAttribute(name);
  for (const [name, value] of Object.entries({ xmlns: NAMESPACE, viewBox: `${left} ${top} ${width} ${whole}`, width, height: whole })) copy.setAttribute(name, value);
  return new XMLSerializer().serializeToString(copy);
}

function write(element) {
  if (["title", "a"].includes(element.localName)) return;
  const style = getComputedStyle(element);
  for (const property of PROPERTIES) {
    const value = style.getPropertyValue(property);
    if (value) element.setAttribute(property, value);
  }
  for (const name of ["class", "id"]) element.removeAttribute(name);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-save-svg]");
  const place = button?.closest("[data-chart]");
  const svg = place?.querySelector("svg");
  if (!svg) return;
  const notice = [...document.querySelectorAll(".demo-bar")].map((bar) => bar.textContent.trim()).join(" ");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([standalone(svg, notice)], { type: "image/svg+xml" }));
  link.download = `${place.dataset.chart}.svg`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
});
