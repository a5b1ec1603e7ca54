"""A service that shows what the console can do: a day of history, and traffic that goes on.

`python -m demo` fills an empty data folder, starts the whole service on it, and posts jobs to mock
vendors that fail, throttle and deny.
"""
