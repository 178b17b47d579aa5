"""The demo: a creature made by code, whose leap is known at every frame, given as four unlike keyframes."""
