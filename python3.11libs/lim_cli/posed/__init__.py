"""Keys that are given as posed images: read, checked, put into one box, and aimed at the thing in its middle."""
