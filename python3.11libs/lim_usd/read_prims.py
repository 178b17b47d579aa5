"""Which mesh prims of a stage are meant: one that was asked for, or all that a render would show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pxr import Sdf, Usd, UsdGeom

from lim_usd.source import BadSource

Note = tuple[str, str]  # what is to be told, and of which prim, or '' where it is of no one prim

_LISTED = 8


def find_meshes(stage: Usd.Stage, label: str) -> tuple[list[Note], list[Usd.Prim]]:
    """Every mesh that is active, defined and loaded, instances included, point instancers left out."""
    lost = _unresolved(stage)
    notes: list[Note] = [(words, "") for words in lost]
    found, others = [], Counter[str]()
    prims = Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies(Usd.PrimDefaultPredicate))
    walk = iter(prims)
    for prim in walk:
        if UsdGeom.PointInstancer(prim):
            notes.append(("point instancers are left out", str(prim.GetPath())))
            walk.PruneChildren()
        elif UsdGeom.Mesh(prim):
            found.append(prim)
        elif UsdGeom.Gprim(prim):
            others[prim.GetTypeName()] += 1
    if not found:
        held = ", ".join(f"{count} {kind}" for kind, count in others.items()) or "no geometry"
        raise BadSource(f"{label}: holds no mesh ({'; '.join([held, *lost])}). Export polygons.")
    notes += [(f"only meshes are read: {count} {kind} left out", "") for kind, count in others.items()]
    return notes, found


def named_prim(meshes: Sequence[Usd.Prim], name: str, stage: Usd.Stage, label: str) -> Usd.Prim:
    """The mesh at a path, or whose path ends in `name`. Raises BadSource, with those there are, for none or many."""
    ending = name if name.startswith("/") else f"/{name}"
    fits = [prim for prim in meshes if str(prim.GetPath()).endswith(ending) and _is_at(prim, name)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise BadSource(f"{label}: prim {name} could be any of {listed(fits)}. Give the whole path.")
    other = stage.GetPrimAtPath(name) if Sdf.Path.IsValidPathString(name) and name.startswith("/") else None
    if not other:
        raise BadSource(f"{label}: has no prim {name}. Its meshes are {listed(meshes)}.")
    reason = f"is a {other.GetTypeName() or 'prim without a type'}, not a Mesh"
    if not other.IsActive():
        reason = "is not active"
    raise BadSource(f"{label}: prim {name} {reason}. Its meshes are {listed(meshes)}.")


def shown(meshes: Sequence[Usd.Prim], time: Usd.TimeCode, label: str) -> tuple[list[Note], list[Usd.Prim]]:
    """Those a final render would show: visible at `time`, of purpose default or render."""
    notes: list[Note] = []
    kept = []
    for prim in meshes:
        geom = UsdGeom.Imageable(prim)
        purpose = geom.ComputePurpose()
        if geom.ComputeVisibility(time) == UsdGeom.Tokens.invisible:
            notes.append(("hidden meshes are left out", str(prim.GetPath())))
        elif purpose not in (UsdGeom.Tokens.default_, UsdGeom.Tokens.render):
            notes.append((f"meshes of purpose {purpose} are left out", str(prim.GetPath())))
        else:
            kept.append(prim)
    if not kept:
        raise BadSource(f"{label}: shows no mesh: {'; '.join(told(notes))}. Choose one with --prim.")
    return notes, kept


def listed(prims: Sequence[Usd.Prim]) -> str:
    """The paths of prims, the first few of many."""
    return _joined([str(prim.GetPath()) for prim in prims])


def told(notes: Sequence[Note]) -> tuple[str, ...]:
    """Each thing to be told once, with the prims it is true of."""
    places: dict[str, list[str]] = {}
    for what, where in notes:
        places.setdefault(what, []).append(where)
    return tuple(f"{what}: {_joined(where)}" if any(where) else what for what, where in places.items())


def _unresolved(stage: Usd.Stage) -> list[str]:
    # USD older than 24.11 does not hand these out; like the later ones it says them on stderr.
    composition_errors = getattr(stage, "GetCompositionErrors", list)
    return [str(error).rstrip(".") for error in composition_errors()]


def _joined(words: Sequence[str]) -> str:
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return ", ".join(words[:_LISTED]) + more


def _is_at(prim: Usd.Prim, name: str) -> bool:
    return not name.startswith("/") or str(prim.GetPath()) == name
