"""What a vendor's definition says: how to call it and how to understand its answers, without code.

Pure: nothing here reads the store, the environment or the clock.
"""
