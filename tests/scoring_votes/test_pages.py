"""Uploading votes, the page of a set, two judges compared, the table as CSV, deleting."""

import csv
import io
import json
import re
from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from scoring.models import VoteSet
from scoring.votes import reading, services
from scoring.votes.reading import read_votes
from tests.scoring_votes.files import benchmark, file_of, pair, small


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def upload(client: Client, data: bytes, name: str = "Votes") -> Any:
    file = SimpleUploadedFile("votes.json", data, content_type="application/json")
    return client.post(reverse("vote_sets"), {"name": name, "source": "me, CC0", "file": file}, follow=True)


def kept(user: Any, data: bytes | None = None) -> VoteSet:
    file = SimpleUploadedFile("votes.json", small() if data is None else data)
    return services.create_vote_set(name="Votes", source="me", file=file, by=user)


def text_of(response: Any) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode())))


def page(user: Any, found: VoteSet, **asked: str) -> Any:
    return client_of(user).get(reverse("vote_set", args=[found.uid]), asked)


def test_an_upload_becomes_a_page(bob: Any) -> None:
    answer = upload(client_of(bob), small())
    found = VoteSet.objects.get()
    assert answer.redirect_chain == [(reverse("vote_set", args=[found.uid]), 302)]
    assert (found.name, found.layout, found.pairs, found.created_by) == ("Votes", "GenAI-Bench", 4, bob)
    said = text_of(answer)
    assert "The votes were read and kept." in said and "me, CC0" in said
    assert [row.name for row in answer.context["rows"]] == ["right", "left", "mute"]
    assert "People: A 1 25.0 % of the pairs" in said and "Pairs 4 of 3 sources" in said


def test_the_page_has_the_judges_figures(bob: Any) -> None:
    right, left, mute = page(bob, kept(bob)).context["rows"]
    assert (right.headline.value, left.headline.value, mute.headline.value) == ("100.0", "25.0", "0.0")
    assert (left.lean.value, left.gap.value, left.kappa.value) == ("+100.0", "+100.0", "0.000")
    assert (mute.answered.value, mute.answered.why) == ("–", "The judge has no readable answer on these pairs.")
    assert (mute.silent, mute.unreadable, mute.coverage) == (2, 2, "0.0")
    assert right.plot.high == right.plot.dot == "100.00%"


def test_a_dash_has_its_reason_on_the_page(bob: Any) -> None:
    assert "– The judge has no readable answer on these pairs." in text_of(page(bob, kept(bob)))


def test_text_of_judges_cannot_become_markup(bob: Any) -> None:
    rows = [pair(n, "A", **{"<script>alert(1)</script>": "A", "two": "<b>A</b>"}) for n in range(2)]
    body = page(bob, kept(bob, file_of(*rows)), one="<script>alert(1)</script>", other="two").content.decode()
    assert "<script>alert" not in body and "<b>A</b>" not in body
    assert "&lt;script&gt;alert" in body and "&lt;b&gt;A&lt;/b&gt;" in body
    assert "style=" not in body


def test_the_benchmarks_page(bob: Any) -> None:
    answer = page(bob, kept(bob, benchmark()), one="gemini-1.5-pro", other="gpt4o")
    rows = answer.context["rows"]
    assert [(row.name, row.headline.value, row.headline.interval) for row in rows[:3]] == [
        ("gemini-1.5-pro", "55.9", "[52.7, 59.1]"),
        ("gpt4o", "53.5", "[50.3, 56.7]"),
        ("idefics2", "27.3", "[24.5, 30.3]"),
    ]
    assert [row.tone for row in rows] == ["good"] * 2 + ["bad"] * 16
    best = answer.context["best"]
    assert (best.name, best.measures) == ("always both bad", ["42.7", "45.3", "0.0", "50.0"])
    said = text_of(answer)
    assert "gemini-1.5-pro and gpt4o are not distinguishable on these 919 pairs" in said
    assert "176 answers could not be read" in said


def test_two_judges_in_words(bob: Any) -> None:
    people = ["A", "B", "tie", "bad"] * 10
    votes = [pair(n, human, good=human, left="A", also=human) for n, human in enumerate(people)]
    found = kept(bob, file_of(*votes))
    for one, other, said in (
        ("good", "left", "good agrees with people on 75.0 points more of the 40 pairs than left"),
        ("left", "good", "left agrees with people on 75.0 points less of the 40 pairs than good"),
        ("good", "also", "good and also are right on exactly the same pairs."),
    ):
        assert said in text_of(page(bob, found, one=one, other=other))
    compared = page(bob, found, one="good", other="left").context["compared"]
    assert compared["rows"][0].found.p == pytest.approx(2 * 0.5**30) and compared["rows"][0].p == "< 0.001"
    single = kept(bob, file_of(*[{**row, "source_prompt": "one"} for row in votes]))
    assert "cannot be told: all pairs are of one source" in text_of(page(bob, single, one="good", other="left"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"one": "right", "other": "right"}, "Choose two different judges."),
        ({"one": "right", "other": "nobody"}, "There is no judge of this name here."),
        ({"one": "right"}, "This field is required."),
    ],
)
def test_what_cannot_be_compared(asked: dict[str, str], said: str, bob: Any) -> None:
    answer = page(bob, kept(bob), **asked)
    assert answer.status_code == 200 and said in text_of(answer)
    assert answer.context["compared"] is None


def test_a_set_of_one_judge_has_nothing_to_compare(bob: Any) -> None:
    assert "Two judges on the same pairs" not in text_of(page(bob, kept(bob, file_of(pair(0, j="A")))))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{", "The file cannot be read as JSON"),
        (b"", "The submitted file is empty."),
        (file_of(pair(0, "A", j="A"), pair(0, "A", j="A")), "Row 2: the idx “0” is that of row 1 already."),
        (file_of(*[pair(n, "x", j="A") for n in range(25)]), "And 5 more problems."),
    ],
)
def test_a_file_that_is_refused_leaves_nothing(data: bytes, said: str, bob: Any) -> None:
    answer = upload(client_of(bob), data)
    assert answer.status_code == 200 and said in text_of(answer)
    assert data == b"" or "Nothing was kept." in text_of(answer)
    assert not VoteSet.objects.exists()


def test_a_file_that_is_too_large_is_not_read(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST_BYTES", 1024**2)
    monkeypatch.setattr(services, "read_votes", lambda _data: pytest.fail("it was read"))
    assert "The file is larger than 1 MB." in text_of(upload(client_of(bob), b"[" + b" " * 1024**2))


def test_a_form_without_file_or_name_is_refused(bob: Any) -> None:
    answer = client_of(bob).post(reverse("vote_sets"), {})
    assert answer.status_code == 200 and text_of(answer).count("This field is required.") == 2


def test_the_same_file_again_leads_to_its_set(bob: Any, alice: Any) -> None:
    found = kept(bob)
    answer = upload(client_of(alice), small(), name="Another name")
    assert answer.redirect_chain == [(reverse("vote_set", args=[found.uid]), 302)]
    assert "This file is here already." in text_of(answer)
    assert VoteSet.objects.get().name == "Votes"


def test_the_same_file_in_the_same_moment(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's upload is kept between the look for the file and the writing."""

    def meanwhile(data: bytes) -> Any:
        monkeypatch.setattr(services, "read_votes", read_votes)
        kept(bob)
        return read_votes(data)

    monkeypatch.setattr(services, "read_votes", meanwhile)
    with pytest.raises(services.SameFile) as same:
        kept(bob)
    assert VoteSet.objects.get() == same.value.found


def test_the_table_as_csv(bob: Any) -> None:
    answer = client_of(bob).get(reverse("vote_set_table", args=[kept(bob).uid]))
    assert answer["Content-Type"].startswith("text/csv") and "judges-votes.csv" in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [row["judge"] for row in rows] == ["right", "left", "mute"]
    assert (rows[1]["four"], rows[1]["four_pairs"], rows[1]["votes_A"]) == ("0.25", "4", "4")
    assert (rows[2]["four_answered"], rows[2]["kappa"], rows[2]["unreadable"]) == ("", "", "2")


def test_a_spreadsheet_runs_no_name(bob: Any) -> None:
    found = kept(bob, file_of(pair(0, **{"=cmd()": "A"})))
    (row,) = csv.DictReader(
        io.StringIO(client_of(bob).get(reverse("vote_set_table", args=[found.uid])).content.decode())
    )
    assert row["judge"] == "'=cmd()"


def test_owner_and_admin_delete(bob: Any, alice: Any) -> None:
    for user, name in ((bob, "1"), (alice, "2")):
        found = kept(bob, file_of(pair(name, j="A")))
        answer = client_of(user).post(reverse("delete_vote_set", args=[found.uid]), follow=True)
        assert "The votes were deleted." in text_of(answer) and not VoteSet.objects.exists()


def test_others_do_not_delete(bob: Any, person: Any) -> None:
    found = kept(bob)
    other = client_of(person("erin", "engineer"))
    assert "Delete" not in text_of(other.get(reverse("vote_set", args=[found.uid])))
    answer = other.post(reverse("delete_vote_set", args=[found.uid]))
    assert answer.status_code == 403 and "belongs to somebody else" in text_of(answer)
    assert VoteSet.objects.exists()


@pytest.mark.parametrize("name", ["vote_sets", "vote_set", "vote_set_table", "delete_vote_set"])
def test_annotators_see_nothing(name: str, bob: Any, carol: Any) -> None:
    found = kept(bob)
    args = [] if name == "vote_sets" else [found.uid]
    client = client_of(carol)
    assert client.get(reverse(name, args=args)).status_code == 403
    assert client.post(reverse(name, args=args)).status_code == 403
    assert VoteSet.objects.exists()


def test_the_list_is_paged_and_costs_the_same_however_long(bob: Any) -> None:
    client, costs = client_of(bob), []
    for batch in (range(3), range(3, 60)):
        for number in batch:
            kept(bob, file_of(pair(number, j="A")))
        client.get(reverse("vote_sets"))
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(reverse("vote_sets"))
        costs.append(len(queries))
        assert not any('"rows"' in query["sql"] for query in queries.captured_queries if "voteset" in query["sql"])
    assert costs[0] == costs[1] <= 4
    assert len(answer.context["page"]) == 50 and "Older" in text_of(answer)
    assert len(client.get(reverse("vote_sets") + answer.context["page"].next).context["page"]) == 10


def test_a_page_costs_the_same_however_large_the_set(bob: Any) -> None:
    client, costs = client_of(bob), []
    for pairs in (2, 200):
        found = kept(bob, file_of(*[pair(number, j="A", k="B") for number in range(pairs)]))
        client.get(reverse("vote_set", args=[found.uid]))
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("vote_set", args=[found.uid]), {"one": "j", "other": "k"})
        costs.append(len(queries))
    assert costs[0] == costs[1] <= 4


def test_limits_of_the_reader_fit_the_real_file() -> None:
    data = benchmark()
    assert len(data) * reading.MOST_PAIRS / len(json.loads(data)) < reading.MOST_BYTES
