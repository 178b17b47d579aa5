"""The words that client and server share: types, messages and how they travel. numpy and msgpack only."""

__version__ = "0.1.0"
