/* The order of a ranked group: built from shelves and duels, changed by moves, checked against the duels. Pure.

   An order is a list of tiers, best first; a tier is a list of letters that are tied. Tied images share a shelf. */
import { latestDuels, mergeInsertion, mostComparisons } from "./merge_insertion.js";

export const SHELVES = [5, 4, 3, 2, 1, 0];

const without = (order, letter) =>
  order.map((tier) => tier.filter((one) => one !== letter)).filter((tier) => tier.length);
const canonical = (order) => JSON.stringify(order.map((tier) => [...tier].sort()));
export const sameOrder = (one, other) => canonical(one) === canonical(other);

/** Letters by shelf, in display order: {5: [...], …, 0: [...]}. */
export function byShelf(letters, shelves) {
  return Object.fromEntries(SHELVES.map((shelf) => [shelf, letters.filter((letter) => shelves[letter] === shelf)]));
}

/** The shelves whose images meet in duels. depth: "none", "extremes" (highest and lowest shelf in use) or "all". */
export function duelShelves(groups, depth) {
  const used = SHELVES.filter((shelf) => groups[shelf].length);
  if (depth === "all") return used;
  return depth === "extremes" ? [...new Set([used[0], used.at(-1)])].filter((shelf) => shelf !== undefined) : [];
}

/** Where a ranking pass stands.
 * @returns {{phase: "shelves"|"duels"|"confirm", unplaced: string[], pending: string[]|null, shelf: number|null,
 *            order: string[][]|null, mostOf: object}} mostOf: by shelf, the largest number of duels that it can take */
export function standing({ shelves, duels, manual }, letters, depth) {
  const unplaced = letters.filter((letter) => !(letter in shelves));
  const at = { phase: "shelves", unplaced, pending: null, shelf: null, order: null, mostOf: {} };
  if (unplaced.length) return at;
  const groups = byShelf(letters, shelves);
  const duelled = duelShelves(groups, depth);
  at.mostOf = Object.fromEntries(duelled.map((shelf) => [shelf, mostComparisons(groups[shelf].length)]));
  if (manual) return { ...at, phase: "confirm", order: manual };
  const order = [];
  for (const shelf of SHELVES) {
    if (!groups[shelf].length) continue;
    if (!duelled.includes(shelf)) {
      order.push([...groups[shelf]]);
      continue;
    }
    const { tiers, pending } = mergeInsertion(groups[shelf], duels);
    if (pending) return { ...at, phase: "duels", pending, shelf };
    order.push(...tiers);
  }
  return { ...at, phase: "confirm", order };
}

/** Puts a letter on another shelf of a settled order: at its lower end when it rose, at its upper end when it fell. */
export function refile(order, shelves, letter, shelf) {
  const rest = without(order, letter);
  const rose = shelf > shelves[letter];
  const index = rest.findIndex((tier) => (rose ? shelves[tier[0]] < shelf : shelves[tier[0]] <= shelf));
  rest.splice(index < 0 ? rest.length : index, 0, [letter]);
  return rest;
}

/** One step towards the best (-1) or the worst (+1) end: out of a tie, into a tie, or over the edge to the next shelf.
 * @returns {{kind: "move"|"place", data: object} | null} the event of the step; null at the end of the scale */
export function stepMove(order, shelves, letter, direction) {
  const index = order.findIndex((tier) => tier.includes(letter));
  const tier = order[index];
  const next = order.map((one) => [...one]);
  if (tier.length > 1) {
    next[index] = tier.filter((one) => one !== letter);
    next.splice(direction < 0 ? index : index + 1, 0, [letter]);
    return { kind: "move", data: { order: next } };
  }
  const neighbour = order[index + direction];
  if (neighbour && shelves[neighbour[0]] === shelves[letter]) {
    next[index + direction].push(letter);
    next.splice(index, 1);
    return { kind: "move", data: { order: next } };
  }
  const shelf = shelves[letter] - direction;
  return SHELVES.includes(shelf) ? { kind: "place", data: { letter, shelf } } : null;
}

/** The events of dropping a letter: onto another one ({tie}), or on a shelf ({shelf, before}; before null: at its
 * end).
 * @returns {{kind: string, data: object}[]} a change of shelf, then the move inside it; empty if nothing changes */
export function dropMove(order, shelves, letter, target) {
  if (target.tie === letter || target.before === letter) return [];
  const shelf = target.tie ? shelves[target.tie] : target.shelf;
  const changed = shelf !== shelves[letter];
  const start = changed ? refile(order, shelves, letter, shelf) : order;
  const rest = without(start, letter);
  if (target.tie) rest.find((tier) => tier.includes(target.tie)).push(letter);
  else rest.splice(dropIndex(rest, shelves, target), 0, [letter]);
  const events = changed ? [{ kind: "place", data: { letter, shelf } }] : [];
  if (!sameOrder(rest, start)) events.push({ kind: "move", data: { order: rest } });
  return events;
}

function dropIndex(rest, shelves, { shelf, before }) {
  const index = before
    ? rest.findIndex((tier) => tier.includes(before))
    : rest.findIndex((tier) => shelves[tier[0]] < shelf);
  return index < 0 ? rest.length : index;
}

/** The duels that the order does not follow, each with the circle of answers it belongs to, if there is one.
 * @returns {{a: string, b: string, result: string, circle: string[]|null}[]} */
export function contradictions(order, duels) {
  const position = new Map(order.flatMap((tier, index) => tier.map((letter) => [letter, index])));
  const latest = [...latestDuels(duels).values()];
  const wanted = ({ a, b, result }) => (result === "tie" ? 0 : result === a ? -1 : 1);
  return latest
    .filter((duel) => Math.sign(position.get(duel.a) - position.get(duel.b)) !== wanted(duel))
    .map((duel) => ({ ...duel, circle: circleOf(duel, latest) }));
}

/** The way back from the loser to the winner over "better or tied" answers: with the duel itself a circle. */
function circleOf(duel, latest) {
  if (duel.result === "tie") return null;
  const [winner, loser] = duel.result === duel.a ? [duel.a, duel.b] : [duel.b, duel.a];
  const paths = [[loser]];
  const seen = new Set([loser]);
  while (paths.length) {
    const path = paths.shift();
    for (const next of beatenBy(path.at(-1), latest)) {
      if (next === winner) return [winner, ...path, winner];
      if (!seen.has(next)) {
        seen.add(next);
        paths.push([...path, next]);
      }
    }
  }
  return null;
}

const beatenBy = (letter, latest) =>
  latest
    .filter(({ a, b, result }) => (a === letter || b === letter) && (result === letter || result === "tie"))
    .map(({ a, b }) => (a === letter ? b : a));
