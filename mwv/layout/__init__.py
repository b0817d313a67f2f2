"""Names and shapes of tensors in, a Canvas of Placements out; no arrays here."""
