"""Post-training of an editor: one loop of rollouts, rewards and advantages, with several objectives."""
