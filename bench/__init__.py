"""Benchmarks: `bench.speed` is `make bench`, `bench.edits` is `make dev-bench`."""
