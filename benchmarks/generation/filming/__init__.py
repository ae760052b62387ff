"""The parts of `benchmarks.generation.films`, each with a function `score` that gives its tables."""
