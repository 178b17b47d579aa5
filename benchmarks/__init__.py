"""Benchmarks: each prints its table beside a floor measured in the same run, and keeps it in results/."""
