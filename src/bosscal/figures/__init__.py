"""The figures: pure functions from arrays to a matplotlib Figure, and one way to save them."""
