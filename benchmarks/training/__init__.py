"""Training from random weights beside other models and recipes, for the same time or to the same accuracy."""
