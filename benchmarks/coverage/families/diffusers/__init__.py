"""Tiny models of diffusers: configs, inputs, and what single families need."""
