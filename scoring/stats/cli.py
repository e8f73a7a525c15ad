"""``manage.py stats COMMAND FILE.csv``: aggregation without server, database or Django.

Exit status: 0 done, 1 the result could not be written, 2 the request or the file's contents are wrong.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scoring.stats.agreement import LEVELS, agreement
from scoring.stats.calibration import CalibrationSettings, calibrate
from scoring.stats.correlate import MOST_LEVELS
from scoring.stats.csvfile import BadTable
from scoring.stats.jsonout import write_json
from scoring.stats.methods import side_by_side
from scoring.stats.mos import METHODS, OUTLIER_RULES, MosSettings, mean_opinion_scores
from scoring.stats.ranks import rank_groups
from scoring.stats.report import (
    agreement_document,
    correlate_document,
    methods_document,
    mos_document,
    rank_document,
)
from scoring.stats.study import MODELS, strength_document, study_strengths
from scoring.stats.table import Rankings, Ratings, Triples


class BadRequest(ValueError):
    """Options that do not go together."""


def main(argv: Sequence[str]) -> int:
    """Run one command and return the exit status; never raises for anything a user can cause."""
    try:
        options = _parser().parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        document = options.run(options)
    except BadRequest as error:
        return _say(str(error), 2)
    except BadTable as error:
        return _refuse(options.file, error)
    except OSError as error:
        return _say(f"{options.file}: cannot be read: {error.strerror or error}", 2)
    except MemoryError:
        return _say(f"{options.file}: not enough memory for a table of this size", 1)
    return _deliver(document, options.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stats", description="Scores, rankings, agreement and correlation from CSV files."
    )
    commands = parser.add_subparsers(required=True, metavar="mos|methods|ranks|strength|agreement|correlate")
    mos = commands.add_parser("mos", help="mean opinion scores; columns annotator,item,dimension,score")
    mos.add_argument("--outliers", choices=OUTLIER_RULES, help="default: pooled; none for p910 and corrected")
    mos.add_argument("--method", choices=METHODS, default="zscore", help="default: zscore")
    methods = commands.add_parser("methods", help="z-score MOS and corrected, side by side; the columns of mos")
    ranks = commands.add_parser("ranks", help="mean ranks and pairs; columns annotator,group,dimension,candidate,rank")
    strength = commands.add_parser("strength", help="strengths of editors over all groups; the columns of ranks")
    _add_strength(strength)
    agree = commands.add_parser("agreement", help="agreement of scores; columns annotator,item,dimension,score")
    agree.add_argument("--level", choices=LEVELS, required=True, help="level of measurement of the scores")
    correlate = commands.add_parser(
        "correlate", help="a scorer against people; columns item,human,scorer[,task,source]"
    )
    _add_correlate(correlate)
    for command, run in (
        (mos, _mos),
        (methods, _methods),
        (ranks, _ranks),
        (strength, _strength),
        (agree, _agreement),
        (correlate, _correlate),
    ):
        command.add_argument("file", metavar="FILE.csv")
        command.add_argument("--json", metavar="OUT", help="write the JSON here; default: standard output")
        command.set_defaults(run=run)
    return parser


def _add_strength(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", choices=tuple(MODELS), required=True, help="bt: Bradley-Terry of mean ranks; pl: Plackett-Luce"
    )
    parser.add_argument(
        "--pseudo", type=_share, default=0.0, metavar="N", help="pl: wins and losses given to everybody; default: 0"
    )
    parser.add_argument(
        "--resamples", type=_whole(0, 100_000), default=200, metavar="N", help="bootstrap; default: 200"
    )
    parser.add_argument(
        "--seed", type=_whole(0, 2**32 - 1), default=0, metavar="N", help="of the bootstrap; default: 0"
    )


def _add_correlate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", type=_scale, default="0:5", metavar="LOW:HIGH", help="integer ends; default: 0:5")
    parser.add_argument("--drop", type=_number, default=5.0, metavar="S", help="cut off scorer >= S; default: 5")
    parser.add_argument("--perfect", type=_number, default=4.5, metavar="H", help="right if human >= H; default: 4.5")
    parser.add_argument(
        "--resamples", type=_whole(1, 100_000), default=1000, metavar="N", help="bootstrap; default: 1000"
    )
    parser.add_argument(
        "--seed", type=_whole(0, 2**32 - 1), default=0, metavar="N", help="of the bootstrap; default: 0"
    )


def _scale(text: str) -> tuple[int, int]:
    try:
        low, high = map(int, text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not LOW:HIGH with two integers, such as 0:5") from None
    if not 0 < high - low < MOST_LEVELS:
        raise argparse.ArgumentTypeError(f"{text} must go upwards and have at most {MOST_LEVELS} levels")
    return low, high


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value


def _share(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 100")
    return value


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isdecimal() and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return parse


def _mos(options: argparse.Namespace) -> dict[str, Any]:
    settings = MosSettings(method=options.method, outliers=options.outliers)
    return mos_document(mean_opinion_scores(Ratings.from_csv(options.file), settings))


def _methods(options: argparse.Namespace) -> dict[str, Any]:
    return methods_document(side_by_side(Ratings.from_csv(options.file)))


def _strength(options: argparse.Namespace) -> dict[str, Any]:
    if options.pseudo and options.model != "pl":
        raise BadRequest("--pseudo belongs to --model pl; Bradley-Terry is fitted to the comparisons alone")
    table = Rankings.from_csv(options.file)
    found = study_strengths(table, options.model, resamples=options.resamples, seed=options.seed, pseudo=options.pseudo)
    return strength_document(table, found, options.model, options.pseudo)


def _ranks(options: argparse.Namespace) -> dict[str, Any]:
    return rank_document(rank_groups(Rankings.from_csv(options.file)))


def _agreement(options: argparse.Namespace) -> dict[str, Any]:
    return agreement_document(agreement(Ratings.from_csv(options.file), options.level))


def _correlate(options: argparse.Namespace) -> dict[str, Any]:
    settings = CalibrationSettings(
        low=options.scale[0],
        high=options.scale[1],
        threshold=options.drop,
        perfect=options.perfect,
        resamples=options.resamples,
        seed=options.seed,
    )
    return correlate_document(calibrate(Triples.from_csv(options.file), settings))


def _say(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status


def _refuse(name: str, error: BadTable) -> int:
    """The first problems, one a line, and how many there are."""
    for problem in error.problems:
        _say(f"{name}: {problem}", 2)
    if error.count > 1:
        listed = f"; the first {len(error.problems)} are listed" if error.count > len(error.problems) else ""
        _say(f"{name}: {error.count} problems{listed}. Nothing was computed.", 2)
    return 2


def _deliver(document: Mapping[str, Any], out: str | None) -> int:
    try:
        if out is None:
            write_json(sys.stdout.buffer, document)
            sys.stdout.buffer.flush()
        else:
            _write_whole(Path(out), document)
    except BrokenPipeError:
        # The reader closed the pipe (such as `| head`); without this Python complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _say(f"{out or 'standard output'}: cannot be written: {error.strerror or error}", 1)
    return 0


def _write_whole(path: Path, document: Mapping[str, Any]) -> None:
    """Write beside the target and rename, so that a failure leaves no half result and the old file as it was."""
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            write_json(file, document)
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write_json(file, document)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
