"""How the service is: one snapshot for the console and /metrics, what is wrong, and alert rules."""
