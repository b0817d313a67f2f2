"""Names of rows in, a table of measured figures out: what `scripts/bench` runs."""
