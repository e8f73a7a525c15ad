#!/usr/bin/env python
"""Django's command line, and the statistics that need no Django."""

import os
import sys


def main() -> int:
    if sys.argv[1:2] == ["stats"]:  # no settings, no database, no server: a table in, figures out
        from scoring.stats.cli import main as stats

        return stats(sys.argv[2:])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
