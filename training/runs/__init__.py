"""Post-training runs on the web: the form, the job, its page, the registry of trained editors."""
