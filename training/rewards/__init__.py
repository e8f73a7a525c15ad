"""Reward models without torch: the format of training sets, configurations, figures."""
