"""What each operation of a float step computes, as a board would: one family of layers a file."""
