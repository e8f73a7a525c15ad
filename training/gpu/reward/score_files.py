"""``python -m training.gpu.reward.score_files FOLDER``: scores of picture files, for the command line.

Reads JSON lines {"instruction", "source": file, "candidates": [file, …]} from standard input and writes one line for
each candidate, in order: {"source", "candidate", and its scores, or "error"}. Exit status 2: the model or a line cannot
be used.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from training.gpu.editors import CannotEdit
from training.gpu.reading import read_picture
from training.gpu.reward.answers import Answer, Scores, answers, told
from training.gpu.reward.checkpoint import WrongCheckpoint
from training.gpu.reward.network import Example
from training.gpu.reward.scorer import Scorer
from training.gpu.reward.wire import is_whole


class WrongLine(Exception):
    """A line that is no request. The message is shown to the user."""


def score_lines(scorer: Scores, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Raises WrongLine with its number; what is wrong with one picture is that candidate's error."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield from _scored(scorer, _read(line, number))


def _read(line: str, number: int) -> tuple[str, str, list[str]]:
    try:
        row = json.loads(line)
        instruction, source, candidates = row["instruction"], row["source"], row["candidates"]
    except (ValueError, KeyError, TypeError):
        words = 'is no object {"instruction": …, "source": file, "candidates": [file, …]}.'
        raise WrongLine(f"Line {number} {words}") from None
    if not isinstance(candidates, list) or not all(isinstance(one, str) for one in (instruction, source, *candidates)):
        raise WrongLine(f"Line {number}: instruction and source must be texts, candidates a list of texts.")
    if not all(map(is_whole, (instruction, source, *candidates))):
        raise WrongLine(f"Line {number}: a text has half a character (a lone surrogate). Write it as UTF-8.")
    return instruction, source, candidates


def _scored(scorer: Scores, asked: tuple[str, str, list[str]]) -> Iterator[dict[str, Any]]:
    instruction, source, files = asked
    read: dict[str, Image.Image | str] = {file: _picture(file) for file in (source, *files)}
    start = read[source]
    pictures = {file: found for file in files if isinstance(found := read[file], Image.Image)}
    said: dict[str, Answer] = {}
    if isinstance(start, Image.Image) and pictures:
        example = Example(source, instruction, start, tuple(pictures.values()))
        said = dict(zip(pictures, answers(scorer, [example])[0], strict=True))
    for file in files:
        unread = next((one for one in (start, read[file]) if isinstance(one, str)), "")
        row = {"error": unread} if unread else told(said[file])
        yield {"source": source, "candidate": file, **row}


def _picture(file: str) -> Image.Image | str:
    try:
        return read_picture(Path(file), "picture")
    except CannotEdit as error:
        return str(error)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.gpu.reward.score_files")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args(arguments)
    try:
        for row in score_lines(Scorer.load(given.folder, given.device), sys.stdin):
            print(json.dumps(row, ensure_ascii=False), flush=True)
    except (WrongCheckpoint, WrongLine) as error:
        print(str(error), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
