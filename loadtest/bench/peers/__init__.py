"""The peers, each with a task that does what one of our jobs does."""
