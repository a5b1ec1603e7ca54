"""History: what happened in each minute, hour and day (jobs.models.tally)."""
