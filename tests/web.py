"""What tests of pages need."""

import html
import re
from typing import Any


def text_of(answer: Any) -> str:
    """The page as one line of text, with its tags; it must have come."""
    assert answer.status_code == 200, answer
    return re.sub(r"\s+", " ", html.unescape(answer.content.decode()))
