/* The review page: one proposed instruction after the other, beside its picture; a person accepts, changes or rejects
   it. Decisions are events of the annotation pages' outbox: they wait in the browser until the server has them. */
import { post } from "./work/api.js";
import { $, h, jsonScript, uuid } from "./work/dom.js";
import { Images } from "./work/images.js";
import { Outbox } from "./work/outbox.js";

const page = jsonScript("review");
const sentences = jsonScript("sentences");
const TEXTS = ["instruction", "instruction_zh", "description", "requirement"];
const HELD = 8; // proposals in the page, the one in view among them
const KEPT = 8; // pictures of earlier proposals that stay in memory
const AGAIN = 2000; // milliseconds until the server is asked again for more

const t = (name, values = {}) =>
  Object.entries(values).reduce((text, [key, value]) => text.replaceAll(`{${key}}`, value), sentences[name]);

const images = new Images();
const waiting = []; // the first is in view
const history = []; // {proposal, key}: what undo goes back through, the latest last
const drafts = new Map(); // uid -> texts that were typed, kept when the form is left
let left = page.left;
let ready = null; // uid of the proposal whose picture is in view: no key decides what nobody has seen
let exhausted = false;
let asking = false;
let seq = 0;
let lastNotices = "";

const outbox = new Outbox({
  prefix: `editloop.review.${page.user_id}.${page.dataset}`,
  send: (events) => post(page.urls.events, { events, ...wish() }),
  onReply: receive,
  onRefused: refused,
  onChange: drawStatus,
});

// What the server knows -----------------------------------------------------------------------------------------------

function wish() {
  const unsent = outbox.queue.map(({ event }) => event.assignment);
  const have = [...new Set([...waiting.map(({ uid }) => uid), ...unsent])];
  return { have, want: Math.max(0, HELD - waiting.length), task: page.task };
}

function receive(data) {
  const known = new Set(wish().have);
  const fresh = data.proposals.filter(({ uid }) => !known.has(uid));
  exhausted = waiting.length + fresh.length < HELD && data.proposals.length === fresh.length;
  left = data.left;
  const before = waiting[0];
  waiting.push(...fresh);
  if (waiting[0] !== before || !before) draw();
  else drawCount();
  images.loadAhead(waiting.slice(1));
}

/** Asks for more when nothing is to be sent, which would bring it along. */
async function more() {
  if (asking || exhausted || outbox.queue.length || waiting.length) return;
  asking = true;
  const answer = await post(page.urls.events, { events: [], ...wish() });
  asking = false;
  if (answer.ok) receive(answer.data);
  else setTimeout(more, AGAIN);
}

/** A decision that the server did not take: the proposal is somebody else's now, or has to stay as it is. */
function refused({ event }) {
  const before = waiting[0];
  const place = history.findIndex(({ key }) => key === event.key);
  if (place >= 0) history.splice(place, 1);
  const back = waiting.findIndex(({ uid }) => uid === event.assignment);
  if (event.kind === "undo" && back >= 0) waiting.splice(back, 1);
  if (waiting[0] !== before || !before) draw();
}

// The proposal in view ------------------------------------------------------------------------------------------------

function draw() {
  const [proposal] = waiting;
  drawCount();
  leave();
  $("undo").disabled = $("screen-undo").disabled = history.length === 0;
  $("screen").hidden = Boolean(proposal);
  $("stage").hidden = $("side").hidden = !proposal;
  if (proposal) return show(proposal);
  ready = null;
  delete $("stage").dataset.assignment;
  drawEnd();
  return more();
}

function drawEnd() {
  if (waiting.length) return;
  const name = outbox.queue.length ? "sendingLast" : exhausted ? "done" : "loading";
  $("screen").dataset.reason = name;
  $("screen-title").textContent = t(name);
}

function drawCount() {
  $("left").textContent = t("left", { n: Math.max(left, waiting.length) });
}

async function show(proposal) {
  $("task").textContent = proposal.task;
  $("about").textContent = proposal.about;
  $("model").textContent = proposal.model;
  TEXTS.forEach((name) => ($(name).textContent = proposal[name]));
  if (ready === proposal.uid) return;
  ready = null;
  delete $("stage").dataset.assignment;
  $("stage").replaceChildren();
  let picture;
  try {
    picture = await images.load(proposal.source.url, "high");
  } catch {
    if (waiting[0] === proposal) $("stage").replaceChildren(h("p", {}, t("pictureFailed")));
    return;
  }
  if (waiting[0] !== proposal) return; // somebody was quicker than the picture
  picture.alt = t("picture");
  picture.classList.toggle("pixel", picture.naturalWidth <= 128);
  $("stage").replaceChildren(picture);
  requestAnimationFrame(() => {
    if (waiting[0] !== proposal) return;
    ready = proposal.uid;
    $("stage").dataset.assignment = proposal.uid;
  });
}

// Decisions -----------------------------------------------------------------------------------------------------------

function decide(kind, data = {}) {
  const [proposal] = waiting;
  if (!proposal || ready !== proposal.uid) return;
  waiting.shift();
  left = Math.max(0, left - 1);
  const key = send(kind, proposal, data);
  history.push({ proposal, key });
  $("live").textContent = t(kind === "accept" ? "accepted" : "rejected");
  draw();
  images.keepOnly([...waiting, ...history.slice(-KEPT).map((step) => step.proposal)]);
  images.loadAhead(waiting.slice(1));
}

function send(kind, proposal, data) {
  const key = uuid();
  seq += 1;
  outbox.add({ key, assignment: proposal.uid, seq, kind, data, at: Date.now() });
  return key;
}

function undo() {
  const step = history.pop();
  if (!step) return void ($("live").textContent = t("nothingToUndo"));
  waiting.unshift(step.proposal);
  left += 1;
  send("undo", step.proposal, {});
  $("live").textContent = t("undone");
  draw();
}

// Changing ------------------------------------------------------------------------------------------------------------

const editing = () => !$("edit").hidden;

function change() {
  const [proposal] = waiting;
  if (!proposal || ready !== proposal.uid) return;
  const texts = drafts.get(proposal.uid) ?? proposal;
  TEXTS.forEach((name) => ($(`edit-${name}`).value = texts[name]));
  $("edit-error").textContent = "";
  $("read").hidden = $("actions").hidden = true;
  $("edit").hidden = false;
  $("edit-instruction").focus();
}

/** Closes the form; what was typed is there when it is opened again. */
function leave() {
  if (!editing()) return;
  $("edit").hidden = true;
  $("read").hidden = $("actions").hidden = false;
  $("stage").focus();
}

const typed = () => Object.fromEntries(TEXTS.map((name) => [name, $(`edit-${name}`).value]));

function acceptChange() {
  const texts = typed();
  if (!texts.instruction.trim()) {
    $("edit-error").textContent = t("empty");
    $("edit-instruction").focus();
    return;
  }
  decide("accept", texts);
}

$("edit").addEventListener("input", () => drafts.set(waiting[0].uid, typed()));
$("edit").addEventListener("submit", (event) => {
  event.preventDefault();
  acceptChange();
});

// Keys ----------------------------------------------------------------------------------------------------------------

/** The letter on the key in a Latin layout, by its place in any other. */
function letter(event) {
  if (/^[a-z]$/i.test(event.key)) return event.key.toLowerCase();
  const [, name] = /^Key([A-Z])$/.exec(event.code) ?? [];
  return event.key.length === 1 && name ? name.toLowerCase() : event.key;
}

function onKey(event) {
  if (event.isComposing || event.altKey || event.metaKey) return;
  if (editing()) {
    if (event.key === "Escape") leave();
    else if (event.key === "Enter" && event.ctrlKey && !event.repeat) acceptChange();
    else return;
    event.preventDefault();
    return;
  }
  if (event.ctrlKey) return;
  const onButton = event.target.closest?.("button, a");
  if (onButton && event.key === "Enter" && event.repeat) event.preventDefault(); // it would press the button again
  const actions = { a: () => decide("accept"), e: change, r: () => decide("reject"), u: undo };
  const action = event.key === "Enter" && !onButton ? actions.a : actions[letter(event)];
  if (!action) return;
  event.preventDefault();
  if (!event.repeat) action(); // a key that is held down must not decide about what comes next
}

// Saving --------------------------------------------------------------------------------------------------------------

function drawStatus() {
  const { status, queue, refused: refusals, kept } = outbox;
  $("save").dataset.status = refusals.length && status === "saved" ? "refused" : status;
  $("save-text").textContent = t(status, { n: queue.length });
  const shown = JSON.stringify([status, queue.length, kept, refusals]);
  if (shown !== lastNotices) drawNotices(); // only when something changed: no button is replaced under the pointer
  lastNotices = shown;
  drawEnd();
  if (!queue.length) more();
}

function drawNotices() {
  const { status, queue, refused: refusals, kept } = outbox;
  const notices = [
    status === "signed-out" &&
      h("div", { class: "alert bad notice" }, h("p", {}, t(status, { n: queue.length })), again()),
    !kept && queue.length && h("div", { class: "alert warn notice" }, h("p", {}, t("notKept"))),
    ...refusals.map(refusal),
  ].filter(Boolean);
  $("notices").replaceChildren(...notices);
}

const again = () => h("a", { class: "button small", href: location.href }, t("signIn"));

function refusal({ name, error }) {
  const dismiss = () => outbox.dismiss(name);
  return h(
    "div",
    { class: "alert bad notice" },
    h("p", {}, t("refused", { error })),
    h("button", { type: "button", class: "button small", onclick: dismiss }, t("dismiss")),
  );
}

document.addEventListener("keydown", onKey);
window.addEventListener("online", () => outbox.wake());
for (const [name, act] of Object.entries({ change, leave })) $(name).addEventListener("click", act);
const buttons = { accept: () => decide("accept"), reject: () => decide("reject"), undo, "screen-undo": undo };
for (const [name, act] of Object.entries(buttons))
  $(name).addEventListener("click", () => {
    act();
    $("stage").focus(); // so that Enter means "accept" again, not this button
  });
receive(page);
drawStatus();
outbox.flush(); // decisions of an earlier visit
