/* The form of a run: another preset or base says what each empty field stands for, and the curve of the reward map
   follows α and β. Nothing that was typed is changed. */
const presets = JSON.parse(document.getElementById("presets").textContent);
const modules = JSON.parse(document.getElementById("modules").textContent);
const form = document.getElementById("run-form");
const controls = form.elements;
const map = document.getElementById("map");
const SHAPE = ["alpha", "beta", "k", "win_rate", "preservation", "form"];
const WAIT = 250;

function show() {
  const size = modules[controls.base.value] ?? Object.values(modules)[0] ?? "large";
  const values = presets[size]?.[controls.preset.value] ?? {};
  for (const field of document.querySelectorAll("[data-setting]")) {
    const value = values[field.dataset.setting];
    if (value === undefined) continue;
    if (field.tagName === "SELECT") field.options[0].textContent = field.options[0].textContent.replace(/:.*/, `: ${value}`);
    else field.placeholder = value;
  }
}

let timer = 0;
let asked = 0;

async function draw() {
  const mine = ++asked;
  const query = new URLSearchParams(new FormData(form));
  for (const name of [...query.keys()]) if (!SHAPE.includes(name)) query.delete(name);
  try {
    const response = await fetch(`${map.dataset.curve}?${query}`);
    if (!response.ok || response.redirected || mine !== asked) return;
    const found = new DOMParser().parseFromString(await response.text(), "text/html").body;
    map.replaceChildren(...[...found.childNodes].map((node) => document.adoptNode(node)));
  } catch {
    // The server is away for a moment: the curve stays as it was.
  }
}

controls.preset.addEventListener("change", show);
controls.base.addEventListener("change", show);
for (const name of SHAPE) {
  controls[name].addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(draw, WAIT);
  });
}
show(); // the browser may have kept another choice than the page was made with
