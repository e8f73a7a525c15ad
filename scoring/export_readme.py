"""The README that goes with an export: what the columns are, where the rows come from, what was left out."""

import json

from annotation.library import dataset_hash
from annotation.models import Study
from scoring.export_tables import ExportTable, Options


def readme(study: Study, name: str, table: ExportTable, options: Options, count: int) -> str:
    """Markdown without a date: the same export twice is the same bytes."""
    dataset = study.dataset
    lines = [f"# {study.name}: {name}", "", table.about, ""]
    if notice := study.notice:
        lines += [f"**{notice}**", ""]
    lines += [
        f"- Rows: {count}",
        f"- Study: {study.name} ({study.uid}), protocol preset {study.preset}",
        f"- Data set: {dataset.name} ({dataset.uid})",
        f"- Data set content, SHA-256: {dataset_hash(dataset)}",
        "- Annotators are numbered (a1, a2, …; simulated ones simulated-3, …); their names are not exported.",
        "",
        "## Filters and settings",
        "",
        *[f"- {line}" for line in table.filters(options)],
        "",
        "## Columns",
        "",
        "| column | type | what it is |",
        "|---|---|---|",
        *[f"| {column.name} | {column.type} | {column.about} |" for column in table.columns],
        "",
        "In CSV, text that begins with =, +, -, @, a tab or a carriage return has an apostrophe before it, so that no",
        "spreadsheet runs it as a formula. An empty cell is a missing value.",
        "",
        "## Protocol",
        "",
        "```json",
        json.dumps(
            study.protocol.to_json(), indent=2, ensure_ascii=False
        ),  # PostgreSQL keeps keys in an order of its own
        "```",
        "",
    ]
    return "\n".join(lines)
