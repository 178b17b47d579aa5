"""The validators that every written asset must satisfy."""

from __future__ import annotations

from pathlib import Path

import usd_validation_nvidia as nvidia
from pxr import Usd, UsdValidation


def issues(path: Path) -> list[str]:
    """What OpenUSD's and NVIDIA's validators have to say."""
    registry = UsdValidation.ValidationRegistry()
    context = UsdValidation.ValidationContext(registry.GetOrLoadAllValidators())
    stage = Usd.Stage.Open(str(path))
    found = [f"{error.GetIdentifier()}: {error.GetMessage()}" for error in context.Validate(stage)]
    results = nvidia.ValidationEngine(init_rules=True).validate(str(path))
    return found + [str(issue) for issue in results.issues()]
