"""From a plan to a C program that trains on the board, and to the proof that it does what was planned."""
