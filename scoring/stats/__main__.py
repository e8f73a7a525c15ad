"""``python -m scoring.stats mos FILE.csv``: the command line without Django."""

import sys

from scoring.stats.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
