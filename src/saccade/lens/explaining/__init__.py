"""What several calls say together, and where their tokens lie in the picture."""
