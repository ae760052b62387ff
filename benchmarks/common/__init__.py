"""What the benchmarks share: paired timing, the machine, worker processes, results and charts."""
