/* The state of one assignment is a function of its events: state = reduce(kind, events, context). Pure.

   Undo is an event too: it takes back the last action that is still in force, as often as there are any. So undo has no
   limit, survives a reload, and the whole history stays on record. */
import { refile, standing } from "./order.js";

const UNDOABLE = new Set(["score", "place", "duel", "move", "flag", "remark"]);

/** The events that are in force: every undo and what it took back are left out. */
export function inForce(events) {
  const kept = [];
  for (const event of events) {
    if (event.kind !== "undo") {
      kept.push(event);
      continue;
    }
    const last = kept.findLastIndex((one) => UNDOABLE.has(one.kind));
    if (last >= 0) kept.splice(last, 1);
  }
  return kept;
}

const common = { flag: null, remark: "", actions: 0, submitted: null };

const START = {
  rating: { ...common, scores: {} },
  pairwise: { ...common },
  ranking: { ...common, shelves: {}, duels: [], flags: {}, manual: null },
};

const STEPS = {
  score: (state, { dimension, value }) => ({ ...state, scores: { ...state.scores, [dimension]: value } }),
  place: placed,
  duel: (state, duel) => ({ ...state, duels: [...state.duels, duel] }),
  move: (state, { order }) => ({ ...state, manual: order }),
  flag: (state, { flag, letter }) =>
    letter ? { ...state, flags: withFlag(state.flags, letter, flag) } : { ...state, flag },
  remark: (state, { text }) => ({ ...state, remark: text }),
  submit: (state, { answer }) => ({ ...state, submitted: answer }),
};

function withFlag(flags, letter, flag) {
  const { [letter]: _, ...others } = flags;
  return flag ? { ...others, [letter]: flag } : others;
}

/** Once every image is placed and compared, a new shelf moves the image in the settled order: no duel is asked again. */
function placed(state, { letter, shelf }, { letters, depth }) {
  const shelves = { ...state.shelves, [letter]: shelf };
  const { order } = standing(state, letters, depth);
  const manual = order && shelf !== state.shelves[letter] ? refile(order, state.shelves, letter, shelf) : state.manual;
  return { ...state, shelves, manual };
}

/** Replays the events of one assignment.
 * @param {"rating"|"ranking"|"pairwise"} kind
 * @param {{kind: string, data: object}[]} events in the order they happened
 * @param {{letters?: string[], depth?: string}} context the candidates and the depth of the duels (ranking)
 * @returns {object} flag, remark, submitted (the last answer sent, or null), actions (how many an undo can take back),
 *   and scores (rating) or shelves, duels, flags and manual (ranking; manual is the order after moves by hand, or
 *   null) */
export function reduce(kind, events, context = {}) {
  const kept = inForce(events);
  const state = kept.reduce((now, event) => STEPS[event.kind]?.(now, event.data, context) ?? now, START[kind]);
  return { ...state, actions: kept.filter((event) => UNDOABLE.has(event.kind)).length };
}

/** A flag that stands in for an answer: nothing can be judged. */
export const excuses = (flag) => ["broken", "unsafe", "cannot_judge"].includes(flag);

/** The dimensions that still need a score before a rating can be submitted. */
export function missingScores(state, dimensions) {
  return excuses(state.flag) ? [] : dimensions.filter(({ key }) => !(key in state.scores));
}

export function ratingAnswer({ scores, flag, remark }) {
  return { scores, flag, remark };
}

export function rankingAnswer(state, order) {
  const { shelves, duels, flags, flag, remark } = state;
  return { shelves, order: order ?? [], duels, flags, remark, flag };
}

export function pairwiseAnswer({ flag, remark }, choice) {
  return { choice, flag, remark };
}
