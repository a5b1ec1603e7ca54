"""Actions on all jobs that match a filter, carried out by the sweep."""
