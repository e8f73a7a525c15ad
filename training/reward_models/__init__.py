"""Reward models: training jobs, the registry, scoring with them."""
