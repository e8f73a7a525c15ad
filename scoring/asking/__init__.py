"""Asking judges: backends and judges, the requests of a job, and what is kept of the answers."""
