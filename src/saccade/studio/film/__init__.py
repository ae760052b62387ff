"""Attention of films, by frames and patches, for the page."""
