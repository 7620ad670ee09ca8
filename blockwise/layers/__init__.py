"""Layers that models, heads and networks in blocks are built of: norms, and sequences with names."""
