"""A trained network as a program needs it: its steps in order, weights as codes, and one file of both."""
