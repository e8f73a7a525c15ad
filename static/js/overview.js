// The overview: listens for jobs that start or end, and looks again every few seconds, because signs of life, disks and
// judgements send nothing here. Only sections that changed are replaced, so that nobody's place or focus is lost.
const box = document.getElementById("overview");
const MIN_GAP = 1000;
const LOOK = 5000;
let last = 0;
let timer = 0;

async function refresh() {
  timer = 0;
  last = Date.now();
  try {
    const response = await fetch(box.dataset.now);
    if (!response.ok || response.redirected) return; // signed out: the next click says so
    const found = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const section of found.querySelectorAll("section[id]")) replace(section);
  } catch {
    // The server is away for a moment; the next look comes by itself.
  }
}

function replace(section) {
  const shown = document.getElementById(section.id);
  if (!shown || (shown.innerHTML === section.innerHTML && shown.hidden === section.hidden)) return;
  const place = links(shown).indexOf(document.activeElement);
  const address = document.activeElement?.getAttribute("href");
  shown.innerHTML = section.innerHTML;
  shown.hidden = section.hidden;
  if (place < 0) return;
  const same = links(shown).filter((link) => link.getAttribute("href") === address);
  (same.find((link) => link === links(shown)[place]) ?? same[0])?.focus({ preventScroll: true });
}

function links(element) {
  return [...element.querySelectorAll("a[href]")];
}

function soon() {
  if (!timer) timer = setTimeout(refresh, Math.max(0, MIN_GAP - (Date.now() - last)));
}

const source = new EventSource(box.dataset.live);
source.addEventListener("job", soon);
source.addEventListener("open", soon); // what happened while the connection was away
setInterval(() => { if (!document.hidden) soon(); }, LOOK);
document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
