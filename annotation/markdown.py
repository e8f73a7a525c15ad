"""Guidelines are Markdown that people write; what reaches a page is cleaned HTML."""

import markdown
import nh3

TAGS = {"p", "h2", "h3", "h4", "ul", "ol", "li", "strong", "em", "code", "pre", "blockquote", "a", "hr", "br",
        "table", "thead", "tbody", "tr", "th", "td"}  # fmt: skip


def render(text: str) -> str:
    """Safe HTML of a Markdown text: no script, no style, no images from elsewhere."""
    return nh3.clean(markdown.markdown(text, extensions=["tables"]), tags=TAGS) if text else ""
