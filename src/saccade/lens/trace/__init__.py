"""What a watch recorded, and the views of it."""
