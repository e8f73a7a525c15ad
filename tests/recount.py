"""The tables of an export once more, in plain Python from the annotators' answers: slow and obvious, to compare with.

Nothing here looks at marks, which the product makes of answers, or uses its statistics.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from math import sqrt
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student

from annotation.models import Candidate, Judgement, Study
from tests.judging import shown

EXCUSES = ("broken", "unsafe", "cannot_judge")
CANDIDATE = ("case", "task", "split", "candidate", "editor", "seed", "image_sha256")
CHOICES = {"A": [["A"], ["B"]], "B": [["B"], ["A"]], "tie": [["A", "B"]], "both_bad": [["A", "B"]], None: []}
Row = dict[str, Any]


def answers(study: Study, include_extra: bool) -> Iterator[tuple[Judgement, dict[str, Candidate]]]:
    """Judgements with the candidate behind each letter."""
    known = {row.pk: row for row in Candidate.objects.select_related("case", "editor", "image")}
    judgements = study.judgements.select_related("assignment", "unit__item")
    for judgement in judgements if include_extra else judgements.filter(is_extra=False):
        yield judgement, {letter: known[key] for letter, key in shown(judgement.assignment).items()}


def places(order: list[list[str]]) -> dict[str, float]:
    """1, 2, 3 … down the order; who shares a tier shares the mean of its places."""
    flat = [letter for tier in order for letter in tier]
    return {letter: fmean(flat.index(other) + 1 for other in tier) for tier in order for letter in tier}


def row_of(judgement: Judgement, candidate: Candidate, dimension: str) -> Row:
    """What all rows about one answer to one candidate have; ``_order`` is the place of the row in its table."""
    case, editor, answer = candidate.case, candidate.editor, judgement.answer
    order = (case.key, editor.slug, candidate.seed, dimension, judgement.unit.item_id, judgement.annotator_id)
    return {
        "case": case.key, "task": case.task_id, "split": case.split, "candidate": str(candidate.uid),
        "editor": editor.slug, "seed": candidate.seed, "image_sha256": candidate.image.sha256,
        "annotator": f"a{judgement.annotator_id}", "dimension": dimension, "flag": answer["flag"] or "",
        "extra": judgement.is_extra, "seconds": judgement.seconds, "judged_at": judgement.created_at.isoformat(),
        "revisions": judgement.assignment.events.filter(kind="submit").count() - 1, "remark": answer["remark"],
        "_order": order,
    }  # fmt: skip


def in_order(rows: Iterable[Row]) -> list[Row]:
    return [
        {name: value for name, value in row.items() if name != "_order"}
        for row in sorted(rows, key=lambda row: row["_order"])
    ]


def ratings(study: Study, include_extra: bool = False) -> list[Row]:
    rows = []
    for judgement, behind in answers(study, include_extra):
        for key, score in judgement.answer.get("scores", {}).items():
            rows.append(row_of(judgement, behind["A"], key) | {"score": score})
        for letter, shelf in judgement.answer.get("shelves", {}).items():
            rows.append(row_of(judgement, behind[letter], judgement.unit.dimension) | {"score": shelf})
    return in_order(rows)


def rankings(study: Study, include_extra: bool = False) -> list[Row]:
    rows = []
    for judgement, behind in answers(study, include_extra):
        answer, item = judgement.answer, judgement.unit.item
        order = CHOICES[answer["choice"]] if "choice" in answer else answer.get("order", [])
        for letter, rank in places(order).items():
            row = row_of(judgement, behind[letter], judgement.unit.dimension or "overall")
            shelf = answer.get("shelves", {}).get(letter)
            rows.append(row | {"group": str(item.uid), "round": 1, "rank": rank, "shelf": shelf})
    return in_order(rows)


# Opinion scores -----------------------------------------------------------------------------------------------------


def mos(study: Study, include_extra: bool = False, method: str = "zscore", rule: str = "pooled") -> list[Row]:
    """Scores by ``zscore`` or ``mean``, outliers by ``pooled`` or ``none``. Nobody is rejected: too few ratings."""
    scored = [row for row in ratings(study, include_extra) if row["flag"] not in EXCUSES]
    result = []
    for dimension in {row["dimension"] for row in scored}:
        rows = [row for row in scored if row["dimension"] == dimension]
        gone = outliers(rows) if rule == "pooled" else set()
        kept = [row for row in rows if id(row) not in gone]
        value = rescaled(kept) if method == "zscore" else {id(row): row["score"] for row in kept}
        for here in grouped(rows, "candidate"):
            values = [value[id(row)] for row in here if id(row) in value]
            known = {name: here[0][name] for name in CANDIDATE}
            order = [known[name] for name in ("case", "task", "split", "candidate")]
            about = {"dimension": dimension, "adjudicated": None, "_order": [*order, dimension]}
            result.append(known | about | summary(values))
    return in_order(result)


def grouped(rows: Iterable[Row], *names: str) -> list[list[Row]]:
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in names)].append(row)
    return list(found.values())


def z_scores(rows: list[Row]) -> dict[int, float]:
    """By row; those of annotators who always gave the same score are missing."""
    z = {}
    for mine in grouped(rows, "annotator"):
        scores = [row["score"] for row in mine]
        if len(set(scores)) > 1:
            z |= {id(row): (row["score"] - fmean(scores)) / stdev(scores) for row in mine}
    return z


def rescaled(rows: list[Row]) -> dict[int, float]:
    return {key: min(100.0, max(0.0, 100 * (z + 3) / 6)) for key, z in z_scores(rows).items()}


def outliers(rows: list[Row]) -> set[int]:
    """Rows whose z lies more than 2 std of all residuals away from their item's mean z."""
    z, residual = z_scores(rows), {}
    for here in grouped([row for row in rows if id(row) in z], "candidate"):
        if len(here) > 1:
            mean = fmean(z[id(row)] for row in here)
            residual |= {id(row): z[id(row)] - mean for row in here}
    limit = 2 * stdev(residual.values()) if len(residual) > 1 else 0
    return {key for key, value in residual.items() if limit > 1e-9 and abs(value) > limit}


def summary(values: list[float]) -> Row:
    n = len(values)
    mean, std = fmean(values) if n else None, stdev(values) if n > 1 else None
    if mean is None or std is None:
        return {"mos": mean, "n": n, "std": std, "ci_low": None, "ci_high": None}
    half = student.ppf(0.975, n - 1) * std / sqrt(n)
    return {"mos": mean, "n": n, "std": std, "ci_low": mean - half, "ci_high": mean + half}


# Pairs --------------------------------------------------------------------------------------------------------------


def kendall_w(table: list[list[float]]) -> float | None:
    """W with correction for ties of m rankings (rows) of n candidates; None where it is not defined."""
    m, n = len(table), len(table[0])
    totals = [sum(column) for column in zip(*table, strict=True)]
    ties = sum(row.count(rank) ** 3 - row.count(rank) for row in table for rank in set(row))
    most = m**2 * (n**3 - n) - m * ties
    return 12 * sum((total - fmean(totals)) ** 2 for total in totals) / most if m > 1 and most else None


def groups(study: Study, include_extra: bool = False) -> Iterator[tuple[Row, dict[str, list[float]], dict[str, str]]]:
    """Of each group and dimension: what its rows share, each candidate's ranks by the annotators, and the editors."""
    counted = [row for row in rankings(study, include_extra) if row["flag"] not in EXCUSES]
    for rows in grouped(counted, "group", "dimension"):
        ranks: dict[str, list[float]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: row["annotator"]):
            ranks[row["candidate"]].append(row["rank"])
        about = {name: rows[0][name] for name in ("case", "task", "split", "group", "dimension")}
        yield about, ranks, {row["candidate"]: row["editor"] for row in rows}


def pairs(study: Study, include_extra: bool = False) -> list[Row]:
    result = []
    for about, ranks, editor in groups(study, include_extra):
        w = kendall_w([list(row) for row in zip(*ranks.values(), strict=True)])
        mean = {candidate: fmean(found) for candidate, found in ranks.items()}
        for one, other in combinations(sorted(ranks), 2):
            better, worse = (one, other) if mean[one] <= mean[other] else (other, one)
            sides = {"better": better, "better_editor": editor[better], "worse": worse, "worse_editor": editor[worse]}
            gap = mean[worse] - mean[better]
            verdict: Row = {"gap": gap, "tie": gap == 0, "contested": w is not None and w < study.protocol.agreement}
            verdict["adjudicated"] = ""
            order = [about[name] for name in ("case", "group", "dimension")]
            result.append(about | sides | verdict | {"_order": [*order, better, editor[better], worse]})
    return in_order(result)


def adjudications(study: Study, include_extra: bool = False) -> list[Row]:
    """Nobody decides anything in the panels that are recounted."""
    return []


def wins(study: Study, include_extra: bool = False) -> dict[tuple[str, str], float]:
    """Mean number of pairwise wins a group by (editor, dimension), a tie counting ½, over the editor's candidates."""
    won: dict[tuple[str, str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for pair in pairs(study, include_extra):
        for side, points in (("better", 1.0), ("worse", 0.0)):
            key = (pair[f"{side}_editor"], pair["dimension"], pair[side])
            won[key][pair["group"]] += 0.5 if pair["tie"] else points
    by_editor: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (editor, dimension, _candidate), in_groups in won.items():
        by_editor[editor, dimension].append(fmean(in_groups.values()))
    return {key: fmean(found) for key, found in by_editor.items()}
