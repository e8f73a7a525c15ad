"""Benchmarks of editors: the same cases edited by several, scored alike, compared with a base."""
