"""Where tasks run: in this process, in others of this computer, or on a Ray cluster, behind one protocol."""
