"""Time and memory of watching a model, of views of its attention, and of the page that shows them."""
