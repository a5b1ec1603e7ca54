"""What every page of the console has: navigation, the reader's choices, and shown values."""
