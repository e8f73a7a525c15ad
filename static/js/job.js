// A job's page: listens to its events and fetches the moving part again, at most twice a second.
const box = document.getElementById("job");
const MIN_GAP = 500;
let last = 0;
let timer = 0;

async function refresh() {
  timer = 0;
  last = Date.now();
  const open = [...box.querySelectorAll("details")].map((details) => details.open);
  await replace(box, box.dataset.status);
  [...box.querySelectorAll("details")].forEach((details, i) => { details.open = open[i] ?? details.open; });
  const part = document.getElementById("part");
  if (part) await replace(part, part.dataset.part);
}

async function replace(element, url) {
  const response = await fetch(url);
  if (!response.ok) return;
  const html = await response.text();
  if (html !== element.dataset.shown) element.innerHTML = html;
  element.dataset.shown = html;
}

function soon() {
  if (!timer) timer = setTimeout(refresh, Math.max(0, MIN_GAP - (Date.now() - last)));
}

const source = new EventSource(box.dataset.live);
source.addEventListener("job", soon);
source.addEventListener("work", soon);
source.addEventListener("open", soon); // what happened while the connection was away
// A worker that died sends nothing: while the job is active, look by ourselves now and then.
setInterval(() => { if (box.firstElementChild?.dataset.active) soon(); }, 5000);
