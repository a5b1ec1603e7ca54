"""What holds the queued jobs of a vendor, and until when: for clients in the API, for operators in
the console. A script computes it as `take` does, but takes nothing (jobs/queue/lua/held.lua).
"""
