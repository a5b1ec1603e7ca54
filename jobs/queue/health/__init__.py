"""The health of a vendor as its answers show it: its breaker, how it throttles us, its pauses."""
