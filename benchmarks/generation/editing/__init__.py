"""The parts of `benchmarks.generation.edits`, each with a function `score` that gives its tables."""
