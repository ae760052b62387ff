"""Change what a model attends to while it runs."""
