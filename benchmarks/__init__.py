"""Benchmarks of Saccade beside other libraries; `python -m benchmarks` lists them."""
