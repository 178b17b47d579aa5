"""Geometry without models: meshes as arrays, on any device."""
