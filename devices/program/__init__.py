"""One training step as a program: operations in order, the tensors they touch, and live bytes."""
