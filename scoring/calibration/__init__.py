"""Calibration: a scoring prompt's agreement with people, watched while it is written."""
