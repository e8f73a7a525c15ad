"""Benchmarks: labelled sets by which scorers are measured."""
