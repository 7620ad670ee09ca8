"""A program beside its simulation: what is asked of it, what comes back, what it holds and takes."""
