"""Where the server finds what it did not make itself."""

from __future__ import annotations

import os
from pathlib import Path


def weights_folder() -> Path:
    """$LIM_WEIGHTS_DIR, or the weights that come with the package. A server reads it once, when it starts."""
    return Path(os.environ.get("LIM_WEIGHTS_DIR") or Path(__file__).with_name("weights"))
