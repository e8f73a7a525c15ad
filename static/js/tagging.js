/* The tagging page: one picture after the other; a person says what it shows. The focus stays in the search field, so
   every key works at any time. What was said waits in a queue until the server has it; the next pictures are there
   before they are needed. */
import { post } from "./work/api.js";
import { $, h, jsonScript, uuid } from "./work/dom.js";

const page = jsonScript("tagging");
const sentences = jsonScript("sentences");
const AHEAD = 8; // pictures held at once
const FETCHED = 3; // of these, whose files are fetched
const RETRY = 2000;

const byName = new Map(page.categories.map((category) => [category.slug, category]));
const waiting = [...page.images]; // the first is in view
const history = []; // {image, event, kind}: what undo goes back through
const unsent = []; // events in order
const tokens = new Map(); // event key -> what undoes it
let last = waiting.at(-1)?.uid ?? null; // the last picture that the server gave
let left = page.left;
let exhausted = waiting.length < AHEAD;
let chosen = 0; // place in the list of names shown
let shown = [];
let busy = false;

const t = (name, values = {}) =>
  Object.entries(values).reduce((text, [key, value]) => text.replaceAll(`{${key}}`, value), sentences[name]);

// Names ---------------------------------------------------------------------------------------------------------------

/** Those that begin with the text first, then those with a word that does, then those that contain it. */
function matches(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [...page.frequent.map((slug) => byName.get(slug)), ...page.categories.filter(isRare)];
  const place = ({ name, group }) => {
    if (name.startsWith(wanted)) return 0;
    if (name.includes(` ${wanted}`)) return 1;
    if (name.includes(wanted)) return 2;
    return group.startsWith(wanted) ? 3 : 4;
  };
  return page.categories.filter((one) => place(one) < 4).sort((one, other) => place(one) - place(other));
}

const isRare = ({ slug }) => !page.frequent.includes(slug);

function drawNames() {
  shown = matches($("search").value);
  chosen = Math.min(Math.max(chosen, 0), Math.max(shown.length - 1, 0));
  const marked = $("search").value.trim() || touched ? chosen : -1;
  $("names").replaceChildren(...shown.map((category, place) => option(category, place, place === marked)));
  const at = $("names").children[marked];
  at?.scrollIntoView({ block: "nearest" });
  if (at) $("search").setAttribute("aria-activedescendant", at.id);
  else $("search").removeAttribute("aria-activedescendant");
}

let touched = false; // an arrow has marked a name, so Enter takes it without a search

function option({ slug, name, group }, place, selected) {
  const digit = page.frequent.indexOf(slug) + 1;
  return h(
    "li",
    { role: "option", id: `name-${slug}`, "data-slug": slug, "aria-selected": String(selected) },
    digit ? h("kbd", {}, String(digit)) : null,
    name,
    h("span", { class: "muted small" }, group),
  );
}

// The picture in view -------------------------------------------------------------------------------------------------

function draw() {
  const [image] = waiting;
  $("left").textContent = t(left === 1 ? "leftOne" : "left", { n: left });
  $("search").value = "";
  chosen = 0;
  touched = false;
  drawNames();
  drawSaid(image);
  $("undo").disabled = history.length === 0;
  const finished = !image && exhausted;
  $("screen").hidden = !finished;
  $("stage").hidden = $("side").hidden = finished;
  if (finished) {
    $("screen-title").textContent = t(page.check ? "checked" : "done");
    $("screen-text").textContent = left ? t("later", { n: left }) : "";
  }
  $("picture").hidden = !image;
  if (!image) return delete document.body.dataset.image;
  $("picture").src = image.url;
  document.body.dataset.image = image.uid;
  waiting.slice(1, FETCHED + 1).forEach(({ url }) => (new Image().src = url));
  return $("search").focus();
}

function drawSaid(image) {
  const said = image?.model;
  $("said").hidden = !said;
  if (!said) return;
  const name = byName.get(said.category)?.name ?? said.category;
  $("said").textContent = t("said", { name, score: Math.round(100 * (said.score ?? 0)), model: said.name });
}

// What a person does --------------------------------------------------------------------------------------------------

function take(category) {
  const image = waiting.shift();
  if (!image) return;
  const event = { key: uuid(), image: image.uid, category };
  history.push({ image, event });
  unsent.push(event);
  left = Math.max(0, left - 1);
  $("live").textContent = category ? byName.get(category).name : t("none");
  draw();
  send();
}

function skip() {
  const image = waiting.shift();
  if (!image) return;
  history.push({ image, event: null });
  draw();
  send();
}

/** Back to the picture before. What was said of it is taken back, on the server too if it has it. */
function undo() {
  const step = history.pop();
  if (!step) return;
  waiting.unshift(step.image);
  if (step.event) {
    left += 1;
    unsent.push({ key: uuid(), undoes: step.event.key });
  }
  $("live").textContent = t("undone");
  draw();
  send();
}

function enter() {
  if ($("search").value.trim() || touched) {
    if (shown[chosen]) take(shown[chosen].slug);
  } else if (waiting[0]?.model) take(waiting[0].model.category);
}

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  const empty = $("search").value === "";
  const digit = (/^Digit(\d)$/.exec(event.code) ?? /^(\d)$/.exec(event.key))?.[1]; // by place: French types "&" for 1
  const actions = {
    Enter: enter,
    Escape: draw,
    ArrowDown: () => mark(touched || !empty ? chosen + 1 : 0),
    ArrowUp: () => mark(chosen - 1),
    ...(empty ? { Backspace: undo, ArrowRight: skip } : {}),
  };
  const onButton = event.target instanceof HTMLButtonElement && event.key === "Enter";
  const action = digit ? () => pick(Number(digit)) : actions[event.key];
  if (event.key.length === 1 && event.key !== " ") $("search").focus(); // a button may have it
  if (!action || onButton) return;
  event.preventDefault();
  if (!event.repeat || event.key.startsWith("Arrow")) action();
}

function pick(digit) {
  if (digit === 0) take(null);
  else if (page.frequent[digit - 1]) take(page.frequent[digit - 1]);
}

function mark(place) {
  chosen = place;
  touched = true;
  drawNames();
}

// Saving --------------------------------------------------------------------------------------------------------------

function status(name) {
  $("save").dataset.status = name;
  $("save-text").textContent = t(name);
}

/** One request at a time: what waits, in order, and in the answer the pictures that are missing. */
async function send() {
  const want = exhausted ? 0 : AHEAD - waiting.length;
  if (unsent.length) status("sending");
  if (busy || (!unsent.length && want <= 0)) return;
  busy = true;
  const batch = upToUndo();
  const events = batch.map(({ undoes, ...event }) => (undoes ? { ...event, undo: tokens.get(undoes) } : event));
  const answer = await post(page.urls.events, { events, after: last, want: Math.max(0, want), check: page.check });
  busy = false;
  if (answer.ok) {
    unsent.splice(0, batch.length);
    receive(answer.data, want);
  } else if (answer.reason === "refused") {
    unsent.splice(0, batch.length);
    notice(answer.error);
  } else {
    status(answer.reason === "signed-out" ? "signed-out" : "retrying");
    setTimeout(send, RETRY);
  }
}

/** What can be sent at once: an undo needs the token that the server gives for what it undoes. */
function upToUndo() {
  const end = unsent.findIndex(({ undoes }) => undoes && !tokens.has(undoes));
  const batch = end < 0 ? unsent.slice(0, 50) : unsent.slice(0, end);
  if (!batch.length && unsent.length) unsent.shift(); // what it undoes was refused: there is nothing to undo
  return batch;
}

function receive(data, want) {
  Object.entries(data.undo).forEach(([key, token]) => tokens.set(key, token));
  data.refused.forEach(({ error }) => notice(error));
  if (want > 0) exhausted = data.images.length < want;
  last = data.images.at(-1)?.uid ?? last;
  const first = waiting.length === 0;
  waiting.push(...data.images);
  if (first) draw();
  if (unsent.length) send();
  else status("saved");
}

function notice(text) {
  $("notices").replaceChildren(h("div", { class: "alert bad notice" }, h("p", {}, text)));
}

document.addEventListener("keydown", onKey);
$("search").addEventListener("input", () => { chosen = 0; touched = false; drawNames(); });
$("names").addEventListener("click", (event) => {
  const slug = event.target.closest("li")?.dataset.slug;
  if (slug) take(slug);
});
$("none").addEventListener("click", () => take(null));
$("skip").addEventListener("click", skip);
$("undo").addEventListener("click", undo);
window.addEventListener("beforeunload", (event) => { if (unsent.length) event.preventDefault(); });
draw();
