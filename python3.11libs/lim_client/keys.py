"""CURVE keys: for servers that other machines can reach, and the clients they let in.

A folder of keys holds `client.key_secret` (who this user is), `server.key_secret` (who this user's server is) and
`allowed/NAME.key`, the public keys of the clients that the server lets in.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import zmq.auth
from zmq.utils import z85

from lim_client.errors import AccessDenied

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def keys_dir() -> Path:
    """$LIM_KEYS_DIR, or lim/keys in the user's configuration folder."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(os.environ.get("LIM_KEYS_DIR") or config / "lim" / "keys")


def make(folder: Path) -> list[str]:
    """Make the client's and the server's key pair where they are missing. Returns the names of those made."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "allowed").mkdir(exist_ok=True, mode=0o700)
    made = [name for name in ("client", "server") if not (folder / f"{name}.key_secret").exists()]
    for name in made:
        _, secret = zmq.auth.create_certificates(folder, name)
        Path(secret).chmod(0o600)
    return made


def public_key(folder: Path, name: str) -> str:
    """The public key of 'client' or 'server' as 64 hex digits. Raises AccessDenied where there is none."""
    return z85.decode(certificate(folder, name)[0]).hex()


def certificate(folder: Path, name: str) -> tuple[bytes, bytes]:
    """Public and secret key as zmq takes them. Raises AccessDenied where there are none."""
    path = folder / f"{name}.key_secret"
    if not path.exists():
        raise AccessDenied(f"{path}: no such key. Make one with 'lim keys make'.")
    public, secret = zmq.auth.load_certificate(path)
    assert secret is not None
    return public, secret


def allow(folder: Path, name: str, key: str) -> Path:
    """Let the client with this public key (64 hex digits) in, under a name to know it by. Raises ValueError."""
    if not NAME.fullmatch(name):
        raise ValueError(f"'{name}' is no name for a file: use letters, digits, '.', '_' and '-'")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", key):
        raise ValueError(f"'{key}' is no public key: 64 hex digits, as 'lim keys show' prints them")
    (folder / "allowed").mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "allowed" / f"{name}.key"
    path.write_text(f'metadata\ncurve\n    public-key = "{z85.encode(bytes.fromhex(key)).decode()}"\n')
    return path


def allowed(folder: Path) -> dict[str, str]:
    """Who is let in: names and public keys as hex."""
    paths = sorted((folder / "allowed").glob("*.key"))
    return {path.stem: z85.decode(zmq.auth.load_certificate(path)[0]).hex() for path in paths}
