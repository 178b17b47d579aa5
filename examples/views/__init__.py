"""Posed views of a thing in motion, as `lim reconstruct` takes them: images with alpha, and cameras.json."""
