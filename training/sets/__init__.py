"""Labelled sets: frozen from studies or imported, with a card."""
