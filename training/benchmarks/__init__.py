"""Benchmarks of scorers: labelled sets, what each scorer reaches on them, and what papers print."""
