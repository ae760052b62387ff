"""A view for each task: what the page, the terminal and the JSON output show of it."""
