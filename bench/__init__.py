"""The benchmarks: `python -m bench`, or `make bench`. What they mean, and what was measured last, is in README.md."""
