"""Tiny models of transformers: configs, inputs, and what single families need."""
