"""Which module of a model is running: names, hooks, runs."""
