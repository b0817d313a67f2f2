"""Byte ranges of tensors in, bands of values out."""
