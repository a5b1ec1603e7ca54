"""Jobs in the console: the list, and the page of one job with what can be done with it."""
