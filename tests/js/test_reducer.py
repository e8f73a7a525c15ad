"""The state of an assignment is what its events add up to, and undo takes back one action at a time."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LETTERS = ["A", "B", "C", "D", "E"]
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

scores = st.builds(
    lambda key, value: {"kind": "score", "data": {"dimension": key, "value": value}},
    st.sampled_from("qap"),
    st.integers(0, 5),
)
flags = st.builds(lambda flag: {"kind": "flag", "data": {"flag": flag}}, st.sampled_from([None, "broken", "no_edit"]))
remarks = st.builds(
    lambda text: {"kind": "remark", "data": {"text": text}}, st.sampled_from(["", "blurred", "odd light"])
)
others = st.sampled_from([{"kind": "open", "data": {}}, {"kind": "compare", "data": {"tool": "wipe"}}])
undo = st.just({"kind": "undo", "data": {}})
rating_events = st.lists(st.one_of(scores, flags, remarks, others, undo), max_size=30)

places = st.builds(
    lambda letter, shelf: {"kind": "place", "data": {"letter": letter, "shelf": shelf}},
    st.sampled_from(LETTERS),
    st.integers(0, 5),
)


def rating_model(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The same in a few lines: a stack of states."""
    states: list[dict[str, Any]] = [{"scores": {}, "flag": None, "remark": ""}]
    for event in events:
        data, last = event["data"], states[-1]
        if event["kind"] == "score":
            states.append({**last, "scores": {**last["scores"], data["dimension"]: data["value"]}})
        elif event["kind"] == "flag":
            states.append({**last, "flag": data["flag"]})
        elif event["kind"] == "remark":
            states.append({**last, "remark": data["text"]})
        elif event["kind"] == "undo" and len(states) > 1:
            states.pop()
    return {**states[-1], "actions": len(states) - 1, "submitted": None}


@QUICK
@given(rating_events)
def test_a_rating_is_the_sum_of_its_events(js: Any, events: list[dict[str, Any]]) -> None:
    assert js("reducer.js", "m.reduce('rating', x)", events) == rating_model(events)


def test_nothing_is_scored_at_the_start(js: Any) -> None:
    for kind in ("rating", "ranking", "pairwise"):
        state = js("reducer.js", f"m.reduce('{kind}', [], {{letters: ['A', 'B'], depth: 'all'}})")
        assert state["submitted"] is None
        assert state["actions"] == 0
        assert not state.get("scores")
        assert not state.get("shelves")
        assert state.get("manual") is None


def test_the_last_submitted_answer_stays_and_undo_does_not_touch_it(js: Any) -> None:
    answer = {"scores": {"q": 4}, "flag": None, "remark": ""}
    events = [
        {"kind": "score", "data": {"dimension": "q", "value": 4}},
        {"kind": "submit", "data": {"answer": answer}},
        {"kind": "undo", "data": {}},
    ]
    state = js("reducer.js", "m.reduce('rating', x)", events)
    assert state["submitted"] == answer
    assert state["scores"] == {}


# Random work on a group: places, duels as asked, steps and drops; returns every state's order with its shelves.
WORK = """(async () => {
  const order = await import('/static/js/work/order.js');
  const { letters, depth, choices } = x;
  const context = { letters, depth };
  const events = [];
  const seen = [];
  for (const pick of choices) {
    const state = m.reduce('ranking', events, context);
    const at = order.standing(state, letters, depth);
    const letter = letters[pick % letters.length];
    if (pick % 11 === 10) events.push({ kind: 'undo', data: {} });
    else if (at.phase === 'shelves') events.push({ kind: 'place', data: { letter: at.unplaced[0], shelf: pick % 6 } });
    else if (at.phase === 'duels') {
      const [a, b] = at.pending;
      events.push({ kind: 'duel', data: { a, b, left: a, result: [a, b, 'tie'][pick % 3] } });
    } else {
      const other = letters[(pick >> 4) % letters.length];
      const steps = [
        () => [order.stepMove(at.order, state.shelves, letter, pick % 2 ? 1 : -1)],
        () => order.dropMove(at.order, state.shelves, letter, { tie: other }),
        () => order.dropMove(at.order, state.shelves, letter, { shelf: state.shelves[other], before: other }),
        () => order.dropMove(at.order, state.shelves, letter, { shelf: pick % 6, before: null }),
        () => [{ kind: 'place', data: { letter, shelf: pick % 6 } }],
      ];
      events.push(...steps[(pick >> 2) % steps.length]().filter(Boolean));
    }
    const after = m.reduce('ranking', events, context);
    const stands = order.standing(after, letters, depth);
    if (stands.order) seen.push({ order: stands.order, shelves: after.shelves });
  }
  return seen;
})()"""


@QUICK
@given(st.lists(st.integers(0, 2**12), min_size=8, max_size=60), st.sampled_from(["none", "extremes", "all"]))
def test_an_order_holds_every_image_once_and_follows_the_shelves(js: Any, choices: list[int], depth: str) -> None:
    for one in js("reducer.js", f"await {WORK}", {"letters": LETTERS, "depth": depth, "choices": choices}):
        flat = [letter for tier in one["order"] for letter in tier]
        assert sorted(flat) == LETTERS
        shelves = [{one["shelves"][letter] for letter in tier} for tier in one["order"]]
        assert all(len(tier) == 1 for tier in shelves), "tied images share a shelf"
        line = [min(tier) for tier in shelves]
        assert line == sorted(line, reverse=True)


@QUICK
@given(st.lists(places, min_size=1, max_size=12), st.integers(0, 12))
def test_undo_of_everything_leaves_nothing(js: Any, events: list[dict[str, Any]], extra: int) -> None:
    all_events = [*events, *[{"kind": "undo", "data": {}}] * (len(events) + extra)]
    context = {"letters": LETTERS, "depth": "all"}
    state = js("reducer.js", "m.reduce('ranking', x[0], x[1])", [all_events, context])
    assert state["shelves"] == {}
    assert state["actions"] == 0


def test_a_flag_may_be_for_one_image_or_for_the_whole_item(js: Any) -> None:
    events = [
        {"kind": "flag", "data": {"flag": "broken", "letter": "B"}},
        {"kind": "flag", "data": {"flag": "cannot_judge"}},
        {"kind": "flag", "data": {"flag": "unsafe", "letter": "C"}},
        {"kind": "flag", "data": {"flag": None, "letter": "B"}},
    ]
    state = js("reducer.js", "m.reduce('ranking', x, {letters: ['B', 'C'], depth: 'none'})", events)
    assert state["flags"] == {"C": "unsafe"}
    assert state["flag"] == "cannot_judge"
