"""Repeatable benchmarks: each prints a rate and its ratio to a floor of the same run, because machines are noisy."""
