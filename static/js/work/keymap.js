/* One table of keys and actions. The page acts by it and the help dialog is drawn from it, so the help cannot go stale.

   Digits go by event.code, because on some layouts (French, Czech) they need Shift. Letters and signs go by what is
   printed on the key (event.key), and by event.code only where the layout has no Latin letters. Combinations with Ctrl,
   Meta and AltGr belong to the browser and the system. */
import { h } from "./dom.js";
import { t } from "./text.js";

const SIDES = [
  ["Left", "H"],
  ["Down", "J"],
  ["Up", "K"],
  ["Right", "L"],
];

/** Keys that move the pictures: H J K L, and arrows behind a prefix ("" or "Shift+"; null where they have other work). */
const panKeys = (prefix) =>
  SIDES.map(([side, letter]) => [`pan${side}`, prefix === null ? [letter] : [`${prefix}Arrow${side}`, letter]]);

/** [action, keys, text id]; a line without text belongs to the line before it in the help. */
const looking = (prefix) => [
  ["hold", ["Space"], "keyHold"],
  ["wipe", ["W"], "keyWipe"],
  ["difference", ["D"], "keyDifference"],
  ["allowDifference", ["Shift+D"], "keyAllowDifference"],
  ["zoom", ["Z"], "keyZoom"],
  ["zoomIn", ["+", "="], "keyZoomIn"],
  ["zoomOut", ["-", "_"], "keyZoomOut"],
  ["pan", prefix === null ? ["H J K L"] : [`${prefix}Arrows`, "H J K L"], "keyPan"],
  ...panKeys(prefix),
  ["view", ["V"], "keyView"],
];

const ALWAYS = [
  ["undo", ["U"], "keyUndo"],
  ["previous", ["P"], "keyPrevious"],
  ["flag", ["X"], "keyFlag"],
  ["remark", ["N"], "keyRemark"],
  ["rubric", ["R", "I"], "keyRubric"],
  ["guidelines", ["Q"], "keyGuidelines"],
  ["help", ["?"], "keyHelp"],
  ["cancel", ["Escape"], "keyCancel"],
];

const groups = (answer, look) => [
  ["groupAnswer", answer],
  ["groupCompare", look],
  ["groupMore", ALWAYS],
];

const SWAP = ["swap", ["S"], "keySwap"];
const PAIR = [
  ["left", ["ArrowLeft"], "keyLeft"],
  ["right", ["ArrowRight"], "keyRight"],
  ["tie", ["ArrowDown"], "keyTie"],
];

export const KEYMAP = {
  rating: groups(
    [
      ["digit", ["0 … 9"], "keyScore"],
      ["decimal", [".", ","], "keyDecimal"],
      ["up", ["Shift+ArrowUp", "Shift+ArrowRight", ">"], "keyUp"],
      ["down", ["Shift+ArrowDown", "Shift+ArrowLeft", "<"], "keyDown"],
      ["native", ["Tab"], "keyTab"],
      ["submit", ["Enter"], "keySubmit"],
    ],
    looking(""),
  ),
  shelves: groups(
    [
      ["digit", ["5 … 0"], "keyShelf"],
      ["next", ["]", "PageDown"], "keyNext"],
      ["before", ["[", "PageUp"], "keyBefore"],
      ["goTo", ["G"], "keyGoTo"],
      ["submit", ["Enter"], "keyMissing"],
    ],
    looking(""),
  ),
  duels: groups([...PAIR], [SWAP, ...looking("Shift+")]),
  confirm: groups(
    [
      ["before", ["ArrowLeft", "[", "PageUp"], "keyBefore"],
      ["next", ["ArrowRight", "]", "PageDown"], "keyNext"],
      ["better", ["Shift+ArrowLeft", "Alt+ArrowLeft"], "keyBetter"],
      ["worse", ["Shift+ArrowRight", "Alt+ArrowRight"], "keyWorse"],
      ["grab", ["M"], "keyGrab"],
      ["digit", ["5 … 0"], "keyShelfAgain"],
      ["goTo", ["G"], "keyGoTo"],
      ["replay", ["C"], "keyReplay"],
      ["submit", ["Enter"], "keySubmitRanking"],
    ],
    looking(null),
  ),
  pairwise: groups(
    [...PAIR, ["bothBad", ["ArrowUp", "B"], "keyBothBad"], ["submit", ["Enter"], "keyKeep"]],
    [SWAP, ...looking("Shift+")],
  ),
};

const LATIN = /^[\x20-\x7e]$/;
const SIGNS = {
  BracketLeft: "[",
  BracketRight: "]",
  Minus: "-",
  Equal: "=",
  Comma: ",",
  Period: ".",
  NumpadAdd: "+",
  NumpadSubtract: "-",
};

/** The digit of a key press, or null. A number pad without Num Lock sends arrows, not digits. */
export function digitOf({ code, key }) {
  const found = /^(Digit|Numpad)(\d)$/.exec(code);
  if (!found || (found[1] === "Numpad" && !/^\d$/.test(key))) return null;
  return Number(found[2]);
}

/** The letter of a key press (A … Z), or null. */
export function letterOf({ code, key }) {
  if (/^[a-z]$/i.test(key)) return key.toUpperCase();
  return LATIN.test(key) ? null : (/^Key([A-Z])$/.exec(code)?.[1] ?? null);
}

/** The name of a key press as the table writes it, for example "Shift+ArrowLeft", "W" or "?". */
export function nameOf(event) {
  const letter = letterOf(event);
  if (letter) return event.shiftKey ? `Shift+${letter}` : letter;
  if (event.key === " " || event.code === "Space") return "Space";
  if (event.key.length === 1) return LATIN.test(event.key) ? event.key : (SIGNS[event.code] ?? event.key);
  return `${event.altKey ? "Alt+" : ""}${event.shiftKey ? "Shift+" : ""}${event.key}`;
}

const reserved = (event) =>
  event.ctrlKey ||
  event.metaKey ||
  event.isComposing ||
  event.getModifierState?.("AltGraph") ||
  (event.altKey && !event.key.startsWith("Arrow"));

/** What a key press means in a mode of the table.
 * @returns {{action: string, digit?: number} | null} */
export function actionOf(event, mode) {
  if (reserved(event)) return null;
  const lines = KEYMAP[mode].flatMap(([, bindings]) => bindings);
  const digit = digitOf(event);
  if (digit !== null) return lines.some(([action]) => action === "digit") ? { action: "digit", digit } : null;
  const name = nameOf(event);
  // Shift with a letter that has no shifted meaning is the letter (Caps Lock, or a finger that stayed).
  const names = name.startsWith("Shift+") && name.length === 7 ? [name, name.at(-1)] : [name];
  for (const one of names) {
    const found = lines.find(([action, keys]) => !["digit", "native", "pan"].includes(action) && keys.includes(one));
    if (found) return { action: found[0] };
  }
  return null;
}

const CAPS = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Arrows: "← ↑ ↓ →",
  Escape: "Esc",
  PageUp: "PgUp",
  PageDown: "PgDn",
};

/** Key caps of one entry of the table, for example Shift+ArrowLeft as two caps. */
export function caps(key) {
  const parts = key.length > 1 && !key.startsWith("+") ? key.split("+") : [key];
  return h("span", { class: "caps" }, ...parts.map((part) => h("kbd", {}, CAPS[part] ?? part)));
}

/** The help of a mode as a list of definitions for each group. */
export function helpFor(mode) {
  return KEYMAP[mode].map(([title, bindings]) =>
    h(
      "section",
      {},
      h("h3", {}, t(title)),
      h(
        "dl",
        { class: "keys" },
        ...bindings
          .filter(([, , text]) => text)
          .flatMap(([, keys, text]) => [h("dt", {}, ...keys.map(caps)), h("dd", {}, t(text))]),
      ),
    ),
  );
}
