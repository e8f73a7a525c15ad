// A page that moves: [data-live] names its stream of events, each [data-now] the address of a moving part.
// An event fetches the parts again, seldom and only what changed, so that nobody's place or focus is lost.
// While a [data-look] is there it is also done every few seconds: what died sends no event.
const EVENTS = ["job", "work", "judgement", "open"]; // "open": what happened while the connection was away
const LOOK = 5000;
const stream = document.querySelector("[data-live]");
const gap = Number(stream.dataset.gap ?? 1000);
let last = 0;
let timer = 0;

async function refresh() {
  timer = 0;
  last = Date.now();
  for (const part of document.querySelectorAll("[data-now]")) {
    try {
      const response = await fetch(part.dataset.now);
      if (response.ok && !response.redirected) show(part, await response.text()); // redirected: signed out; the next click says so
    } catch {
      // The server is away for a moment; the next event or look comes by itself.
    }
  }
}

// Sections with an id are replaced one by one; a part without such is replaced whole.
function show(part, html) {
  const found = new DOMParser().parseFromString(html, "text/html").body;
  const sections = [...found.querySelectorAll("section[id]")];
  if (!sections.length) replace(part, found);
  for (const section of sections) {
    const shown = document.getElementById(section.id);
    if (!shown) continue;
    replace(shown, section);
    shown.hidden = section.hidden;
  }
}

function replace(shown, found) {
  if (plain(shown) === plain(found)) return;
  const open = [...shown.querySelectorAll("details")].map((details) => details.open);
  const focused = shown.contains(document.activeElement) ? document.activeElement : null;
  const place = focused ? controls(shown).indexOf(focused) : -1;
  shown.replaceChildren(...[...found.childNodes].map((node) => document.adoptNode(node)));
  [...shown.querySelectorAll("details")].forEach((details, i) => { details.open = open[i] ?? details.open; });
  if (!focused) return;
  const same = controls(shown).filter((control) => name(control) === name(focused));
  (same.find((control) => control === controls(shown)[place]) ?? same[0])?.focus({ preventScroll: true });
}

// Which <details> are open is the reader's doing, not a change.
function plain(element) {
  const copy = element.cloneNode(true);
  for (const details of copy.querySelectorAll("details")) details.removeAttribute("open");
  for (const field of copy.querySelectorAll("[name=csrfmiddlewaretoken]")) field.removeAttribute("value"); // new each time
  return copy.innerHTML;
}

function controls(element) {
  return [...element.querySelectorAll("a[href], button, summary")];
}

function name(control) {
  return control.getAttribute("href") ?? `${control.form?.getAttribute("action") ?? ""} ${control.textContent}`;
}

function soon() {
  if (!timer) timer = setTimeout(refresh, Math.max(0, gap - (Date.now() - last)));
}

function look() {
  if (!document.hidden && document.querySelector("[data-look]")) soon();
}

const source = new EventSource(stream.dataset.live);
for (const event of EVENTS) source.addEventListener(event, soon);
setInterval(look, LOOK);
document.addEventListener("visibilitychange", look);
