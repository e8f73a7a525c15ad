"""The simulations of scorers behind docs/statistics.md: `python -m tests.stats.simulate_calibration` (half a minute).

Normal scores of people and scorers with a known correlation; everything is seeded.
"""

from __future__ import annotations

import math

import numpy as np

from scoring.stats.bootstrap import bootstrap, compare
from scoring.stats.correlate import fisher_interval
from tests.stats.test_bootstrap import pair

TRIALS = 600
TRUE = 0.7


def coverage() -> None:
    """How often 95 % intervals of r hold the true 0.7, triples of a source image sharing half of their variance."""
    print("95 % intervals of r = 0.7 that hold it: source images drawn, triples drawn, Fisher")
    for sources, per_source in ((50, 1), (100, 1), (25, 4), (50, 4), (8, 4)):
        cluster = np.repeat(np.arange(sources), per_source)
        share = 0.5 if per_source > 1 else 0.0
        hits = np.zeros(3)
        for trial in range(TRIALS):
            rng = np.random.default_rng(trial)
            human, error = (
                math.sqrt(share) * rng.normal(size=sources)[cluster]
                + math.sqrt(1 - share) * rng.normal(size=cluster.size)
                for _ in range(2)
            )
            scorer = TRUE * human + math.sqrt(1 - TRUE**2) * error
            drawn = [bootstrap(human, scorer, names, resamples=500, seed=trial) for names in (cluster, None)]
            limits = [(one.intervals["pcc"].low, one.intervals["pcc"].high) for one in drawn]
            limits.append(fisher_interval(float(np.corrcoef(human, scorer)[0, 1]), human.size))
            hits += [low < TRUE < high for low, high in limits]
        print(f"{sources:4d} source images of {per_source}: {(hits / TRIALS).round(2)}")


def power() -> None:
    """How often 0.70 to 0.78 is called better, and an equal scorer is; the scorers' errors correlate at 0.5."""
    for n in (50, 100, 200):
        seen, false = (
            np.mean([compare(*pair(trial, n, 0.7, r), resamples=300).verdict == "better" for trial in range(TRIALS)])
            for r in (0.78, 0.7)
        )
        print(f"{n:4d} triples: 0.70 to 0.78 seen in {seen:.0%}, 0.70 to 0.70 called better in {false:.1%}")


if __name__ == "__main__":
    coverage()
    power()
