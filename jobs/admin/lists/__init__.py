"""What the console's lists share: filters on top, and pages that are read by an index."""
