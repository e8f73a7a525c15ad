"""What changed between two drafts: enough to make either out of it, and nothing where nothing changed."""

from hypothesis import given
from hypothesis import strategies as st

from scoring.prompts.diffs import GONE, NEW, SAME, Diff, Piece, diff, excerpt, pieces
from scoring.prompts.drafts import Draft, Line, added, moved, reworded, switched, without

WORDS = st.lists(st.sampled_from(["red", "ball", "the", "gone?", "  ", "\n", "球", "在", "don't"]), max_size=8).map(
    "".join
)
LINES = st.lists(
    st.builds(Line, st.sampled_from([f"q{n}" for n in range(7)]), WORDS, st.booleans()),
    max_size=6,
    unique_by=lambda x: x.key,
)
DRAFTS = st.builds(Draft, WORDS, WORDS, LINES.map(tuple))
ONE = Draft("Look.", "0 to 5.", (Line("a", "Is it gone?"), Line("b", "Is it clean?"), Line("c", "Is it real?", False)))


def old_of(found: tuple[Piece, ...]) -> str:
    return "".join(piece.text for piece in found if piece.kind != NEW)


def new_of(found: tuple[Piece, ...]) -> str:
    return "".join(piece.text for piece in found if piece.kind != GONE)


def was_on(is_on: bool, kinds: tuple[str, ...]) -> bool:
    return is_on != ("on" in kinds or "off" in kinds)


def both(found: Diff) -> tuple[Draft, Draft]:
    """The two drafts that a diff was made of, from it alone."""
    before = sorted((row for row in found.rows if row.was), key=lambda row: row.was or 0)
    after = [row for row in found.rows if row.now]
    assert [row.now for row in after] == list(range(1, len(after) + 1))
    old = tuple(Line(row.key, old_of(row.pieces), was_on(row.is_on, row.kinds)) for row in before)
    new = tuple(Line(row.key, new_of(row.pieces), row.is_on) for row in after)
    return (
        Draft(old_of(found.preamble), old_of(found.rubric), old),
        Draft(new_of(found.preamble), new_of(found.rubric), new),
    )


def test_it_works() -> None:
    new = Draft(
        "Look.", "0 up to 5.", (Line("b", "Is it very clean?"), Line("a", "Is it gone?"), Line("d", "Is it whole?"))
    )
    found = diff(ONE, new)
    assert {row.key: row.kinds for row in found.rows if row.key in "cd"} == {"c": ("removed",), "d": ("added",)}
    kinds = {row.key: row.kinds for row in found.rows}
    assert "changed" in kinds["b"]
    assert sum("moved" in kinds[key] for key in "ab") == 1  # one of two has changed its place, not both
    assert (found.preamble_changed, found.rubric_changed, found.is_empty) == (False, True, False)
    row = next(row for row in found.rows if row.key == "b")
    assert row.pieces == (Piece(SAME, "Is it "), Piece(NEW, "very "), Piece(SAME, "clean?"))
    assert (row.was, row.now) == (2, 1)


@given(DRAFTS, DRAFTS)
def test_both_drafts_come_out_of_it_again(old: Draft, new: Draft) -> None:
    assert both(diff(old, new)) == (old, new)


@given(DRAFTS, DRAFTS)
def test_there_is_no_difference_if_and_only_if_the_drafts_are_equal(old: Draft, new: Draft) -> None:
    assert diff(old, new).is_empty == (old == new)
    assert diff(old, old).is_empty


@given(DRAFTS, DRAFTS)
def test_kinds_say_what_happened(old: Draft, new: Draft) -> None:
    before = {line.key: line for line in old.questions}
    after = {line.key: line for line in new.questions}
    found = diff(old, new)
    for row in found.rows:
        then, now = before.get(row.key), after.get(row.key)
        assert ("added" in row.kinds) == (then is None)
        assert ("removed" in row.kinds) == (now is None)
        if then and now:
            assert ("changed" in row.kinds) == (then.text != now.text)
            assert ("on" in row.kinds, "off" in row.kinds) == (now.is_on > then.is_on, now.is_on < then.is_on)
    kept = [key for key in old.keys if key in after]
    in_order = kept == [key for key in new.keys if key in before]
    assert any("moved" in row.kinds for row in found.rows) != in_order


@given(DRAFTS)
def test_one_move_is_one_moved_question(draft: Draft) -> None:
    if len(draft.questions) > 2:
        found = diff(draft, moved(draft, draft.keys[0], len(draft.questions)))
        assert [row.key for row in found.changes] == [draft.keys[0]]


@given(WORDS, WORDS)
def test_pieces_are_both_texts(old: str, new: str) -> None:
    found = pieces(old, new)
    assert (old_of(found), new_of(found)) == (old, new)
    assert all(piece.text for piece in found)


def test_an_excerpt_keeps_the_changes_and_what_is_around_them() -> None:
    long = " ".join(f"w{n}" for n in range(100))
    found = excerpt(pieces(f"{long} old {long} old {long}", f"{long} new {long} new {long}"), keep=6)
    assert "".join(piece.text for piece in found) == "… w99 oldnew w0 … w99 oldnew w0 …"
    short = pieces("one two", "one three")
    assert excerpt(short) == short
    assert [piece.text for piece in excerpt(pieces(long, long), keep=6)] == ["…"]


def test_a_removed_question_is_shown_where_it_stood() -> None:
    new = Draft("Look.", "0 to 5.", (ONE.questions[0], ONE.questions[2]))
    assert [row.key for row in diff(ONE, new).rows] == ["a", "b", "c"]
    assert [row.key for row in diff(ONE, Draft("", "", ONE.questions[1:])).rows] == ["a", "b", "c"]


# Changes of a draft --------------------------------------------------------------------------------------------------


def test_changes() -> None:
    assert without(ONE, "a").questions[0] == Line("a", "Is it gone?", False)
    assert switched(ONE, "c", True).questions[2].is_on
    assert reworded(ONE, "b", "Clean?").questions[1] == Line("b", "Clean?", True)
    assert added(ONE, "Whole?").questions[-1] == Line("", "Whole?", True)
    assert moved(ONE, "c", -1).keys == ["a", "c", "b"]
    assert moved(ONE, "a", 99).keys == ["b", "c", "a"]
    assert moved(ONE, "c", -99).keys == ["c", "a", "b"]


def test_a_question_that_is_not_there() -> None:
    for change in (lambda: without(ONE, "x"), lambda: switched(ONE, "", True), lambda: moved(ONE, "x", 1)):
        try:
            change()
        except KeyError:
            continue
        raise AssertionError


@given(DRAFTS, st.integers(-9, 9))
def test_moving_loses_nothing(draft: Draft, by: int) -> None:
    for key in draft.keys:
        there = moved(draft, key, by)
        assert sorted(there.questions) == sorted(draft.questions)
        others = [line for line in there.questions if line.key != key]
        assert others == [line for line in draft.questions if line.key != key]
