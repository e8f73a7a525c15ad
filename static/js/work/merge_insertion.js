/* Merge insertion (Ford and Johnson, "A tournament problem", 1959) with ties, replayed from the list of duels.

   The sort is run again from its start after every answer: comparisons that were answered are looked up, and the first
   one that was not is the next question. So the state is the list of duels alone, undo is dropping the last one, and a
   reload changes nothing. With n <= 23 a run costs less than a millisecond.

   Ties: two equal items become one tier, and a tier is an element like any other from there on. An answer between any
   two members of two tiers counts for the tiers, the latest one where there are several. */

class Question {
  constructor(a, b) {
    this.pair = [a, b];
  }
}

const pairKey = (a, b) => (a < b ? `${a}|${b}` : `${b}|${a}`);

/** The latest duel of every pair: Map from "a|b" to {a, b, result, index}. */
export function latestDuels(duels) {
  const latest = new Map();
  duels.forEach(({ a, b, result }, index) => latest.set(pairKey(a, b), { a, b, result, index }));
  return latest;
}

/** Compares tiers (arrays of items): 1 where x is better, -1 where y is, 0 for a tie; throws Question if unknown. */
function comparison(duels) {
  const latest = latestDuels(duels);
  return (x, y) => {
    let found = null;
    for (const a of x) {
      for (const b of y) {
        const duel = latest.get(pairKey(a, b));
        if (duel && (!found || duel.index > found.index)) found = { index: duel.index, a, result: duel.result };
      }
    }
    if (!found) throw new Question(x[0], y[0]);
    if (found.result === "tie") return 0;
    return found.result === found.a ? 1 : -1;
  };
}

/** Step 1: compare in pairs. Equal elements merge and look for a partner again, so at most one stays without a pair. */
function pairUp(elements, compare) {
  const pool = [...elements];
  const pairs = [];
  while (pool.length > 1) {
    const [x, y] = pool.splice(0, 2);
    const sign = compare(x, y);
    if (sign === 0) pool.unshift([...x, ...y]);
    else pairs.push(sign > 0 ? { winner: x, loser: y } : { winner: y, loser: x });
  }
  return { pairs, stray: pool[0] ?? null };
}

/** Puts an element into the ascending chain below `bound` (null: anywhere) by binary search; equal tiers merge. */
function insert(chain, element, bound, compare) {
  let low = 0;
  let high = bound ? chain.indexOf(bound) : chain.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const sign = compare(element, chain[middle]);
    if (sign === 0) {
      chain[middle].push(...element);
      return;
    }
    if (sign > 0) low = middle + 1;
    else high = middle;
  }
  chain.splice(low, 0, element);
}

/** Order of insertion 1; 3, 2; 5, 4; 11 … 6; …: groups that end at Jacobsthal numbers fill binary searches. */
export function insertionOrder(count) {
  const order = count ? [0] : [];
  for (let [before, end] = [1, 3]; before < count; [before, end] = [end, end + 2 * before]) {
    for (let k = Math.min(end, count); k > before; k -= 1) order.push(k - 1);
  }
  return order;
}

function ascending(elements, compare) {
  if (elements.length < 2) return elements.map((element) => [...element]);
  const { pairs, stray } = pairUp(elements, compare);
  const chain = ascending(
    pairs.map((pair) => pair.winner),
    compare,
  );
  // Winners that tied share a tier and bring several losers, each below that tier.
  const waiting = chain.flatMap((tier) =>
    pairs.filter((pair) => tier.includes(pair.winner[0])).map((pair) => ({ element: [...pair.loser], bound: tier })),
  );
  if (stray) waiting.push({ element: [...stray], bound: null });
  for (const index of insertionOrder(waiting.length))
    insert(chain, waiting[index].element, waiting[index].bound, compare);
  return chain;
}

/** Sorts by the duels so far.
 * @param {string[]} items distinct names
 * @param {{a: string, b: string, result: string}[]} duels in the order they were answered; result is a name or "tie"
 * @returns {{tiers: string[][] | null, pending: [string, string] | null}} tiers best first when no question is left */
export function mergeInsertion(items, duels) {
  try {
    const chain = ascending(
      items.map((item) => [item]),
      comparison(duels),
    );
    return { tiers: chain.reverse(), pending: null };
  } catch (question) {
    if (!(question instanceof Question)) throw question;
    return { tiers: null, pending: question.pair };
  }
}

/** The most comparisons that merge insertion needs for n distinct items: the sum of ceil(log2(3k/4)) for k = 1 … n. */
export function mostComparisons(n) {
  let total = 0;
  for (let k = 1; k <= n; k += 1) total += Math.ceil(Math.log2((3 * k) / 4));
  return total;
}
