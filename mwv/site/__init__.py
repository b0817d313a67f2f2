"""Tiles and facts about a model in, a folder of pages out."""
