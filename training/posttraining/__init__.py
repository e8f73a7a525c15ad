"""Post-training of editors without Django and torch: configurations, rewards, pairs, what a run is watched for."""
