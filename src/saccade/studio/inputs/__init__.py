"""The input of a model as the page and the terminal show it."""
