"""The part of a campaign's jobs that its clients post in batches."""
