"""One attention call as a model makes it: its arguments, its heads, the kernel that computes it."""
