"""Vision attention that you can use, see and touch."""
