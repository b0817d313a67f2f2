"""Stored tensors and a configuration in, logical tensors out where several make one: a module for each family of schemes."""
