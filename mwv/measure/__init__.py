"""Bands of values in, numbers about tensors out."""
