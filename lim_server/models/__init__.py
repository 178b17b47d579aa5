"""LRM, LIM and their XYZ twins: plain modules with plain arguments."""
