"""One scriptable vendor for tests, chaos and load tests: a real HTTP server on a port of its own.

`server` is the base: a thread per connection and full control over the bytes. `scripted` answers
each request as a function says and records what arrives. `strict` is a script that enforces rate
limits, and `account` one that enforces several limits and quotas at once, also for each key. The
vendors of `loadtest.bench` and `chaos` and the hostile server of the connection fuzzer are built on
these.

Two things stay elsewhere. Callbacks belong to `chaos.callbacks`, the only place that posts any. The
built-in mock vendors (`vendors.mock`) are part of the product.
"""
