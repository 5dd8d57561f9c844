"""What vidfer costs, beside what the same work costs at the least: `python -m benchmarks.bench --help`."""
