"""Rotations as 3 x 3 matrices that act on columns."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from numpy.random import Generator

Turn = Float[ndarray, "*b 3 3"]


def about(vector: Float[ndarray, "*b 3"]) -> Turn:
    """Rotation about a vector by its length in degrees (Rodrigues)."""
    angle = np.deg2rad(np.linalg.norm(vector, axis=-1))[..., None, None]
    x, y, z = np.moveaxis(np.deg2rad(vector), -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1).reshape(*x.shape, 3, 3)
    first = np.sinc(angle / np.pi)  # sin(a) / a, and (1 - cos(a)) / a^2 below: both smooth at zero
    second = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    return np.eye(3) + first * cross + second * (cross @ cross)


def about_axis(axis: str, degrees: float) -> Turn:
    """Rotation about x, y or z."""
    return about(np.eye(3)["xyz".index(axis)] * degrees)


def any_turn(random: Generator) -> Turn:
    """A rotation drawn evenly from all."""
    basis, upper = np.linalg.qr(random.normal(size=(3, 3)))
    basis = basis * np.sign(np.diag(upper))
    return basis * np.sign(np.linalg.det(basis))
