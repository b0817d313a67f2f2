"""A site in, pictures of its pages out: what `scripts/screenshots` runs."""
