"""Keys and bytes in, files named by key out: the content-addressed cache and its upkeep.

`store` is what a build uses; `blob` how a result proves itself, `index` small values kept as advice, `runs` who counts on
which blob, `upkeep` what `mwv cache` does.
"""
