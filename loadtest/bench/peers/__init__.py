"""The peers, each with a task that does the work of one of our jobs."""
