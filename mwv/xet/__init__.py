"""Bytes become chunks and xorbs as xet stores them: cuts, hashes, and which bytes of a file lie where; asks no Hub."""
