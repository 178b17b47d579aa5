"""Talk to a LIM server, or start one. numpy, pyzmq and msgpack only, so that it runs inside Houdini."""
