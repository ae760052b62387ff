"""Networks as files of inference engines: captured by torch.export, written, and run. Knows no task."""
