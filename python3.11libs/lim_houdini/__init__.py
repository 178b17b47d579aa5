"""LIM inside Houdini: what the digital assets call. Torch never enters this process; a server does the work."""

from lim_houdini.vendored import find_vendored

find_vendored()
