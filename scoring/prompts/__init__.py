"""Scoring prompts: the shipped texts, versions that never change, what differs between two, and their pages."""
