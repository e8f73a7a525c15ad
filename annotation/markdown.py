"""Guidelines are Markdown that people write; what reaches a page is cleaned HTML."""

import markdown
import nh3

TEXT = "p h2 h3 h4 h5 h6 ul ol li strong em code pre blockquote a hr br"
TABLE = "table thead tbody tr th td"
TAGS = {*TEXT.split(), *TABLE.split()}


def render(text: str) -> str:
    """Safe HTML of a Markdown text: no script, no style, no images from elsewhere.

    Its headings come a level lower, because the page has a title of its own.
    """
    lower = {"toc": {"baselevel": 2}}
    html = markdown.markdown(text, extensions=["tables", "toc"], extension_configs=lower) if text else ""
    return nh3.clean(html, tags=TAGS)
