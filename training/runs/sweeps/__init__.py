"""Sweeps: grids of post-training runs that differ in a few settings, in their data or in who gives the reward."""
