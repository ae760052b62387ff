"""Where tensors come from: operations followed from the model's inputs to its attention calls."""
