/* The calibration page: figures arrive whole from the board; tables and disagreements are fetched when they changed. */
import { write } from "../figures.js";
import { confusion, histogram, ranges } from "./charts.js";
import { Scatter } from "./scatter.js";

const MOST_CHOSEN = 500; // points of a brush that the server is asked for: an address has its limits
const QUIET = 3000; // the parts that are fetched are read when the figures have come to rest for so long, not all at once
const page = document.getElementById("calibration");
const versions = document.querySelector("#versions [data-part]");
const rows = document.querySelector("#disagreements [data-part]");
const all = document.getElementById("all-rows");
const [low, high] = [Number(page.dataset.bottom), Number(page.dataset.top)];
const scatter = new Scatter(document.getElementById("scatter"), low, high, choose);
let timer = 0;
let shown = "";

function show(figures) {
  figures.count.failed = Object.values(figures.count.lost).reduce((sum, count) => sum + count, 0);
  write(document, figures);
  scatter.show(figures.points);
  ranges(document.getElementById("ranges"), figures);
  histogram(document.getElementById("histogram"), figures.dev);
  confusion(document.getElementById("confusion"), figures.dev);
  const state = JSON.stringify([figures.count, figures.looks, figures.dev.figures]);
  if (state === shown) return;
  clearTimeout(timer);
  timer = setTimeout(readParts, shown ? QUIET * (1 + Math.random()) : 0);
  shown = state;
}

async function readParts() {
  if (!versions.contains(document.activeElement)) {
    const chosen = [...versions.querySelectorAll("input:checked")].map(({ name, value }) => `[name=${name}][value="${value}"]`);
    await read(page.dataset.versions, versions);
    for (const same of chosen) versions.querySelector(same)?.click(); // what was chosen to compare stays chosen
  }
  const busy = rows.contains(document.activeElement) || rows.querySelector("details[open] input");
  if (all.hidden && !busy) await read(page.dataset.rows, rows);
}

async function read(address, place, add = false) {
  try {
    const response = await fetch(address);
    if (!response.ok || response.redirected) return; // signed out: the next click says so
    const found = new DOMParser().parseFromString(await response.text(), "text/html").body;
    const nodes = [...found.childNodes].map((node) => document.adoptNode(node));
    if (add) place.append(...nodes);
    else place.replaceChildren(...nodes);
  } catch {
    // The server is away for a moment; the next figures come by themselves.
  }
}

async function choose(keys) {
  if (!keys.length) return;
  all.hidden = false;
  await read(`${page.dataset.rows}?ids=${keys.slice(0, MOST_CHOSEN).join(",")}`, rows);
  document.querySelector("#disagreements h2").focus();
}

all.addEventListener("click", async () => {
  all.hidden = true;
  scatter.forget();
  await read(page.dataset.rows, rows);
});

rows.addEventListener("click", async (event) => {
  const more = event.target.closest("[data-more]");
  if (!more) return;
  more.remove();
  await read(`${page.dataset.rows}?start=${more.dataset.more}`, rows, true);
});

show(JSON.parse(document.getElementById("figures").textContent));
const source = new EventSource(page.dataset.board);
source.addEventListener("figures", (event) => show(JSON.parse(event.data)));
