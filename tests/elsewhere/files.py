"""Small made-up files of every layout that can be imported."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

SCORES = {"e1": (5, 4, 5), "e2": (3, 3, 4), "e3": (1, 2, 1)}
"""Of three annotators, by editor: the same order everywhere."""


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *rows])
    return out.getvalue().encode()


def ratings(groups: int = 4, **extra: str) -> bytes:
    """Three annotators, three editors, ``groups`` cases, two dimensions; ``extra`` columns with one value."""
    header = ["annotator", "item", "dimension", "score", "group", "editor", "task", *extra]
    rows = [
        [
            f"a{n}",
            f"g{g}/{editor}",
            d,
            score + (0.5 if d == "quality" and g % 2 else 0),
            f"g{g}",
            editor,
            f"t{g % 2}",
            *extra.values(),
        ]
        for g in range(groups)
        for editor, scores in SCORES.items()
        for d in ("quality", "alignment")
        for n, score in enumerate(scores)
    ]
    return table(header, rows)


def rankings(groups: int = 3) -> bytes:
    """Two annotators; the second always ties the last two."""
    rows = [
        [f"a{n}", f"g{g}", "overall", f"g{g}-{editor}", rank, editor]
        for g in range(groups)
        for n, ranks in enumerate(((1, 2, 3), (1, 2, 2)))
        for editor, rank in zip(("e1", "e2", "e3"), ranks if g else ranks[::-1], strict=True)
    ]
    return table(["annotator", "group", "dimension", "candidate", "rank", "editor"], rows)


def imagenhub_long() -> bytes:
    header = ["task", "uid", "model", "rater", "dim", "score"]
    rows = [
        ["T", f"u{u}", model, f"rater{r}", dim, (0, 0.5, 1)[(u + r * (model == "M2") + (dim == "PR")) % 3]]
        for u in range(6)
        for model in ("M1", "M2")
        for r in range(3)
        for dim in ("SC", "PR")
    ]
    return table(header, rows)


def imagenhub_tsv(shift: int = 0) -> bytes:
    """One rater's file; blanks within the cells vary, as they do in the published ones."""
    levels = ("0", "0.5", "1")
    rows = [
        f"u{u}\t[{levels[(u + shift) % 3]}, {levels[u % 3]}]\t[{levels[u % 3]} ,{levels[(u + 1) % 3]}]"
        for u in range(6)
    ]
    return "\n".join(["uid\tM1\tM2", *rows, ""]).encode()


def genai(votes: Sequence[str] = ("leftvote", "rightvote", "tievote", "bothbad_vote", "leftvote")) -> bytes:
    rows = [
        {"idx": n, "source_prompt": f"s{n // 2}", "human_vote": vote, "model_votes": {"judge": "[[A>B]]"}}
        for n, vote in enumerate(votes)
    ]
    return json.dumps(rows).encode()


def imagereward(*rankings_: Sequence[int]) -> bytes:
    given = rankings_ or ((1, 2, 2, 4), (3, 1, 2))
    return json.dumps(
        [
            {
                "id": f"p{n}",
                "prompt": "x",
                "generations": [f"i/{n}-{k}.webp" for k in range(len(r))],
                "ranking": list(r),
            }
            for n, r in enumerate(given)
        ]
    ).encode()


def result(kind: str, value: Any, name: str = "quality", **more: Any) -> dict[str, Any]:
    return {"id": "x1", "from_name": name, "to_name": "img", "type": kind, "value": {kind: value}, **more}


def annotation(by: Any, *results: Any, was_cancelled: bool = False) -> dict[str, Any]:
    return {"id": 1, "completed_by": by, "was_cancelled": was_cancelled, "result": list(results)}


def task(number: int, *annotations: Any, **data: Any) -> dict[str, Any]:
    about = {"image": f"https://example.org/{number}.png", **data}
    return {"id": number, "data": about, "annotations": list(annotations), "predictions": []}


def packed(data: bytes) -> bytes:
    return gzip.compress(data)


def set_of_judgements(owner: Any) -> Any:
    """The row of a set whose figures are not computed yet, without files."""
    from scoring.models import JudgementSet

    about = {"layout": "Long CSV, ratings", "kind": "ratings", "source": "the lab", "counts": {"annotator": 1}}
    return JudgementSet.objects.create(name="J", sha256="1" * 64, judgements=1, rows="", created_by=owner, **about)
