// A study's page: listens for judgements and fetches the figures again, at most once in two seconds.
const box = document.getElementById("study");
const MIN_GAP = 2000;
let last = 0;
let timer = 0;

async function refresh() {
  timer = 0;
  last = Date.now();
  const response = await fetch(box.dataset.figures);
  if (!response.ok) return;
  const open = [...box.querySelectorAll("details")].map((details) => details.open);
  box.innerHTML = await response.text();
  [...box.querySelectorAll("details")].forEach((details, i) => { details.open = open[i] ?? details.open; });
}

function soon() {
  if (!timer) timer = setTimeout(refresh, Math.max(0, MIN_GAP - (Date.now() - last)));
}

const source = new EventSource(box.dataset.live);
source.addEventListener("judgement", soon);
source.addEventListener("open", soon); // what came in while the connection was away
