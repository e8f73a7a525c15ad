"""The pages of checks, concerns and decisions, and the message that an annotator reads."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from annotation.models import Concern, Decision, Study
from annotation.screening import services
from tests import judging
from tests.judging import judge, rated


@pytest.fixture
def study(bob: Any, carol: Any, mallory: Any) -> Study:
    """Of bob's: carol and mallory have judged, and there is a concern about carol."""
    made = judging.study(judging.dataset(2, 2), "hp-score", (carol, mallory), by=bob)
    for person, score in ((carol, 1), (mallory, 4)):
        judge(made, person, lambda _assignment, score=score: rated({"overall": score}))  # type: ignore[misc]
    Concern.objects.create(study=made, annotator=carol, kind="speed", words="Very fast.", figures={"median": 0.5})
    return made


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(user: Any, name: str, *args: Any, query: str = "") -> str:
    response = signed_in(user).get(reverse(name, args=args) + query)
    assert response.status_code == 200
    return response.content.decode()


def decide(user: Any, study: Study, **values: str) -> Any:
    concern = Concern.objects.get()
    return signed_in(user).post(reverse("study_decide", args=[study.uid, concern.uid]), values, follow=True)


def test_it_works(study: Study, bob: Any, carol: Any) -> None:
    table = page(bob, "study_checks", study.uid)
    assert "carol" in table
    assert "mallory" in table
    assert "Answers in very little time" in table
    assert "Very fast." in page(bob, "study_concerns", study.uid)
    response = decide(bob, study, kind="warn", to_annotator="Take your time.", note="By mail, too.")
    assert "Done, and written down." in response.content.decode()
    assert "No concerns" in page(bob, "study_concerns", study.uid)
    assert "By mail, too." in page(bob, "study_concerns", study.uid, query="?decided=1")
    record = page(bob, "study_decisions", study.uid)
    assert "Take your time." in record
    assert "not read yet" in record


def test_the_annotator_reads_the_message_and_goes_on(study: Study, bob: Any, carol: Any) -> None:
    services.warn(study=study, annotator=carol, by=bob, to_annotator="Take your <b>time</b>.", note="a secret note")
    text = page(carol, "work_message", study.uid)
    assert "Take your &lt;b&gt;time&lt;/b&gt;." in text
    assert "secret" not in text
    client, url = signed_in(carol), reverse("work_message", args=[study.uid])
    client.post(url, {"message": "another"})
    assert not Decision.objects.exclude(seen_at=None).exists(), "only what was shown is acknowledged"
    response = client.post(url, {"message": str(Decision.objects.get().uid)}, follow=True)
    assert response.redirect_chain[-1][0] == reverse("workplace", args=[study.uid])
    assert Decision.objects.get().seen_at is not None
    assert "read 20" in page(bob, "study_decisions", study.uid)


def test_decisions_without_a_concern(study: Study, bob: Any, carol: Any) -> None:
    client, url = signed_in(bob), reverse("study_annotator", args=[study.uid, carol.pk])
    assert "Write down why" in client.post(url, {"kind": "exclude"}).content.decode()
    assert client.post(url, {"kind": "exclude", "note": "Agreed with her."}).status_code == 302
    text = client.get(url).content.decode()
    assert "Excluded by bob" in text
    assert "Agreed with her." in text
    assert "excluded" in page(bob, "study_checks", study.uid)
    assert client.post(url, {"kind": "dismiss"}).status_code == 200, "that settles a concern, and here is none"
    assert client.post(url, {"kind": "include"}).status_code == 302
    assert [row.kind for row in Decision.objects.order_by("id")] == ["exclude", "include"]


def test_refused_decisions_say_why(study: Study, bob: Any) -> None:
    assert "Write what the annotator should read." in decide(bob, study, kind="warn").content.decode()
    assert "Choose one of the decisions." in decide(bob, study, kind="unpause").content.decode()
    assert Concern.objects.get().state == "open"


def test_only_who_may_change_the_study_decides(study: Study, person: Any, carol: Any) -> None:
    other = person("erin", "engineer")
    assert "Very fast." in page(other, "study_concerns", study.uid)
    assert "<form" not in page(other, "study_annotator", study.uid, carol.pk).split("<main")[1]
    assert decide(other, study, kind="dismiss").status_code == 403
    for name, args in (("study_look", []), ("study_annotator", [carol.pk])):
        assert signed_in(other).post(reverse(name, args=[study.uid, *args]), {"kind": "pause"}).status_code == 403
    assert not Decision.objects.exists()


def test_an_annotator_who_cannot_be_is_not_there(study: Study, bob: Any) -> None:
    for number in ("0", "9" * 25):
        assert signed_in(bob).get(f"/studies/{study.uid}/checks/annotators/{number}/").status_code == 404


def test_words_that_the_annotator_never_reads_are_not_on_record(study: Study, bob: Any) -> None:
    """The form comes with a draft of a warning, which is sent with every decision."""
    decide(bob, study, kind="dismiss", to_annotator="Some answers came very fast.", note="Looked at them.")
    made = Decision.objects.get()
    assert (made.words, made.note) == ("", "Looked at them.")
    assert "came very fast" not in page(bob, "study_decisions", study.uid)


def test_a_look_at_everybody(study: Study, bob: Any) -> None:
    response = signed_in(bob).post(reverse("study_look", args=[study.uid]), follow=True)
    assert "0 concerns are open after this look." in response.content.decode()


def test_a_concern_of_another_study_is_not_there(study: Study, bob: Any, alice: Any) -> None:
    other = judging.study(judging.dataset(1, 2), "hp-score", (), by=bob)
    url = reverse("study_decide", args=[other.uid, Concern.objects.get().uid])
    assert signed_in(alice).post(url, {"kind": "dismiss"}).status_code == 404


@pytest.mark.parametrize("name", ["study_checks", "study_concerns", "study_decisions"])
def test_lists_cost_the_same_however_long(name: str, bob: Any, person: Any, django_assert_max_num_queries: Any) -> None:
    people = [person(f"p{number}", "annotator") for number in range(45)]
    made = judging.study(judging.dataset(1, 2), "hp-score", tuple(people), by=bob)
    Concern.objects.bulk_create(Concern(study=made, annotator=p, kind="speed", words="W") for p in people)
    for one in people[:2]:
        services.warn(study=made, annotator=one, by=bob, to_annotator="W")
    client = signed_in(bob)
    with django_assert_max_num_queries(18):
        response = client.get(reverse(name, args=[made.uid]))
    assert response.status_code == 200
    if name != "study_decisions":
        assert 'rel="next"' in response.content.decode()
