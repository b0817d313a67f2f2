"""Folders of two models in, what sets their files apart that hold no weights out, ready for pages and JSON."""
