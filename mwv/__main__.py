"""`python -m mwv` in, the command out."""

from mwv.cli import main

main()
