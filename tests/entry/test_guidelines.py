"""What is read and seen on the way in: guidelines and their versions, examples, and the viewing check."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from annotation import markdown
from annotation.entry.services import Example, digits_of, publish_guidelines
from annotation.models import Guidelines, StoredImage, Study
from tests.entry import rows
from tests.entry.rows import SCREEN, Walk, Walker


def test_changed_guidelines_are_shown_again_with_what_changed(walk: Walk, bob: Any) -> None:
    somebody = walk(owner=bob, guidelines="Look closely.\nBe quick.")
    somebody.go_on("guidelines", number=1)
    assert somebody.where() == "work"
    version = publish_guidelines(
        study=somebody.study, text="Look closely.\nTake your time.", by=bob, note="No hurry any more."
    )
    assert version.number == 2  # the text that had no version is the first
    page = somebody.get("way_in").content.decode()
    assert "No hurry any more." in page
    assert "Be quick." in page and "Take your time." in page
    assert page.count("Look closely.") == 1
    somebody.go_on("guidelines", number=1)  # the button of a page that was open before
    assert somebody.where() == "guidelines"
    somebody.go_on("guidelines", number=2)
    assert somebody.where() == "work"
    assert "Take your time." in somebody.get("work_guidelines").content.decode()


@pytest.mark.parametrize("number", ["99", "-1", "x", "", "²"])
def test_nobody_has_read_a_version_that_does_not_exist(walk: Walk, number: str) -> None:
    somebody = walk(guidelines="Read.")
    somebody.go_on("guidelines", number=number)
    assert somebody.member.guidelines_read <= 1


def test_examples_have_addresses_that_tell_nothing_of_the_editor(
    walk: Walk, bob: Any, mallory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StoredImage, "read_view", lambda self: b"RIFF" + self.view.encode())
    somebody = walk(owner=bob)
    one = rows.candidates(somebody.study)[0]
    version = publish_guidelines(
        study=somebody.study, text="", by=bob, examples=[Example(one, "quality", 2, "Torn edges.")]
    )
    page = somebody.get("way_in").content.decode()
    assert "Torn edges." in page and "Examples: Visual quality" in page
    assert one.editor.slug not in page and one.editor.name not in page and str(one.uid) not in page
    example = version.examples.get()
    edit = somebody.get("guideline_image", example.pk, "edit")
    assert edit.content.endswith(one.image.view.encode()) and edit["Content-Type"] == "image/webp"
    assert somebody.get("guideline_image", example.pk, "source").content != edit.content
    assert somebody.get("guideline_image", example.pk, "editor").status_code == 404
    other = rows.study(somebody.user)
    assert Walker(somebody.client, other, somebody.user).get("guideline_image", example.pk, "edit").status_code == 404
    somebody.client.force_login(mallory)
    assert somebody.get("guideline_image", example.pk, "edit").status_code == 404


def test_examples_stay_when_only_the_words_change(walk: Walk, bob: Any) -> None:
    made = walk(owner=bob).study
    example = Example(rows.candidates(made)[0], "quality", 2.5, "Torn.")
    publish_guidelines(study=made, text="One.", by=bob, examples=[example])
    second = publish_guidelines(study=made, text="Two.", by=bob)
    assert second.examples.get().words == "Torn."
    assert Study.objects.get(pk=made.pk).guidelines == "Two."
    assert [v.number for v in Guidelines.objects.filter(study=made)] == [1, 2]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"text": "  "}, "words or an example"),
        ({"text": "Same."}, "Nothing has changed"),
        ({"text": "New.", "dimension": "beauty"}, "does not ask for beauty"),
        ({"text": "New.", "score": 7}, "from 1 to 5"),
        ({"text": "New.", "score": float("nan")}, "from 1 to 5"),
        ({"text": "New.", "elsewhere": True}, "study's data set"),
    ],
)
def test_guidelines_that_are_refused(walk: Walk, bob: Any, values: dict[str, Any], words: str) -> None:
    made = walk(owner=bob).study
    publish_guidelines(study=made, text="Same.", by=bob)
    source = rows.study(bob) if values.get("elsewhere") else made
    example = Example(rows.candidates(source)[0], values.get("dimension", "quality"), values.get("score", 3))
    examples = [example] if len(values) > 1 else []
    with pytest.raises(ValidationError, match=words):
        publish_guidelines(study=made, text=values["text"], by=bob, examples=examples)
    assert Guidelines.objects.filter(study=made).count() == 1


# The viewing check ---------------------------------------------------------------------------------------------------


def test_a_screen_that_does_not_do_is_told_what_to_change_and_may_try_again(walk: Walk) -> None:
    somebody = walk(viewing=True, least_width=1400)
    first = digits_of(somebody.member)
    somebody.go_on("viewing", **SCREEN | {"ratio": 2, "outer_width": 2560}, grey="2", colour=first["colour"])
    assert somebody.where() == "viewing"
    page = somebody.get("way_in").content.decode()
    assert "The page is zoomed" in page and "too narrow" in page and "grey digits" in page
    assert "coloured digits" not in page
    again = digits_of(somebody.member)
    assert again != first
    chart = somebody.get("viewing_chart", "grey")
    assert chart["Content-Type"] == "image/png" and chart["Cache-Control"] == "no-store"
    somebody.go_on("viewing", **SCREEN | {"inner_width": 1440, "outer_width": 1440}, **again)
    assert somebody.where() == "work"
    assert somebody.member.viewing["tries"] == 2


@pytest.mark.parametrize("missing", ["inner_width", "ratio", "grey"])
def test_a_check_without_figures_is_no_attempt(walk: Walk, missing: str) -> None:
    somebody = walk(viewing=True)
    sent = {**SCREEN, **digits_of(somebody.member)}
    reply = somebody.go_on("viewing", **{name: value for name, value in sent.items() if name != missing})
    assert reply.status_code == 200
    assert ("could not measure" in reply.content.decode()) == (missing != "grey")
    assert somebody.member.viewing == {}
    assert somebody.get("viewing_chart", "nothing").status_code == 404


def test_headings_of_a_text_come_below_the_pages_own() -> None:
    assert markdown.render("# One\n\n## Two") == "<h2>One</h2>\n<h3>Two</h3>"
    assert markdown.render("") == ""
