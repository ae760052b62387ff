"""The page that look writes: packed, fitted to a budget of bytes, and rendered as one HTML document."""
