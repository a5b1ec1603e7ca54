"""What the service does now, and what is wrong with it: for the console's front page, for /metrics
and for the alert rules. One snapshot serves them all.
"""
