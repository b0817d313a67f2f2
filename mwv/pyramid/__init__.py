"""A Canvas and the values under it in, tiles of every level out."""
