"""How long a step takes on a board: what its operations count, and what cores make of that."""
