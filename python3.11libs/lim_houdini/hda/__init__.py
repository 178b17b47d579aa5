"""Houdini digital assets as text: read expanded libraries, and say what is wrong with them. No hou needed."""
