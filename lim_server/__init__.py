"""The GPU server: models, tracker and the processes that serve them. Never imports hou or pxr."""
