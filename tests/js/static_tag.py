"""The static tag without a file finder: the fake server serves the repository's own static folder."""

from django import template

register = template.Library()


@register.simple_tag
def static(path: str) -> str:
    return f"/static/{path}"
