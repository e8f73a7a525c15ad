/* Numbers of a page from one object of figures. Elements name their place in it:
   data-value (a number or text; data-digits), data-interval ({low, high}), data-pair ([low, high]), data-percent,
   data-minus (two places), data-lost ({kind: count}), data-progress ({scored, rated});
   data-if and data-unless show and hide. What does not exist is a dash. */

export function at(figures, path) {
  return path.split(".").reduce((value, key) => value?.[key], figures);
}

const text = (value, digits) => {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value !== "number") return String(value);
  return digits === undefined ? value.toLocaleString("en") : value.toFixed(Number(digits));
};

const range = (low, high, digits) =>
  low === null || low === undefined ? "" : `[${text(low, digits)}, ${text(high, digits)}]`;

const WRITERS = {
  value: (figures, path, digits) => text(at(figures, path), digits),
  interval: (figures, path, digits) => range(at(figures, path)?.low, at(figures, path)?.high, digits),
  pair: (figures, path, digits) => range(...(at(figures, path) ?? [null, null]), digits) || "–",
  percent: (figures, path) => { const share = at(figures, path); return share === null || share === undefined ? "–" : `${(100 * share).toFixed(0)} %`; },
  minus: (figures, paths, digits) => {
    const [first, second] = paths.split(" ").map((path) => at(figures, path));
    return typeof first === "number" && typeof second === "number" ? text(first - second, digits) : "–";
  },
  lost: (figures, path) => Object.entries(at(figures, path) ?? {}).map(([kind, count]) => `${kind}: ${count}`).join(", "),
};

export function write(root, figures) {
  for (const [name, writer] of Object.entries(WRITERS)) {
    for (const element of root.querySelectorAll(`[data-${name}]`)) {
      const said = writer(figures, element.dataset[name], element.dataset.digits);
      if (element.textContent !== said) element.textContent = said;
    }
  }
  for (const element of root.querySelectorAll("[data-if]")) element.hidden = !at(figures, element.dataset.if);
  for (const element of root.querySelectorAll("[data-unless]")) element.hidden = Boolean(at(figures, element.dataset.unless));
  for (const element of root.querySelectorAll("[data-progress]")) {
    const { scored, rated } = at(figures, element.dataset.progress) ?? {};
    element.value = rated ? scored / rated : 0;
  }
}
