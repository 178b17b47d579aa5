"""Sources in other axes and units, and several meshes as one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from usd_assets import plain, sheet

from lim_protocol.types import Mesh
from lim_usd.check import check_mesh
from lim_usd.merge import merged
from lim_usd.source import BadSource, converted


def at(*point: float):
    return replace(sheet(), mesh=replace(sheet().mesh, points=np.float32([point])))


def test_up_is_up_in_the_other_axis():
    assert converted(at(1, 2, 3), "Z", None).mesh.points.tolist() == [[1, -3, 2]]
    z_up = replace(at(1, 2, 3), up_axis="Z")
    assert converted(z_up, "Y", None).mesh.points.tolist() == [[1, 3, -2]]
    assert converted(z_up, "Y", None).up_axis == "Y"


def test_there_and_back_is_where_it_was():
    source = sheet(metres_per_unit=0.01)
    away = converted(source, "Z", 1.0)
    assert np.allclose(away.mesh.points[:, 2] * 100, source.mesh.points[:, 1], rtol=1e-6)
    back = converted(away, "Y", 0.01)
    assert np.allclose(back.mesh.points, source.mesh.points, rtol=1e-6)
    assert (back.up_axis, back.metres_per_unit) == ("Y", 0.01)
    assert back.mesh.points.dtype == np.float32


def test_what_is_not_said_is_taken_as_what_is_asked_for():
    silent = sheet(up_axis=None, metres_per_unit=None)
    said = converted(silent, "Z", 0.01)
    assert said.mesh.points is silent.mesh.points
    assert (said.up_axis, said.metres_per_unit) == ("Z", 0.01)
    assert converted(sheet(), None, None).mesh.points is not None
    assert (converted(sheet(), None, None).up_axis, converted(sheet(), None, None).metres_per_unit) == ("Y", 0.01)


def test_turning_keeps_the_outside_outside():
    source = sheet()
    turned = converted(source, "Z", None).mesh

    def direction(mesh: Mesh) -> np.ndarray:
        a, b, c = np.moveaxis(mesh.points[mesh.triangles()], 1, 0)
        return np.cross(b - a, c - a)

    x, y, z = direction(source.mesh).T
    assert np.allclose(direction(turned), np.stack([x, -z, y], 1), atol=1e-6)


def test_one_mesh_is_itself_and_several_follow_each_other():
    one, other = sheet().mesh, sheet(side=4).mesh
    assert merged([one]) is one
    both = merged([one, other])
    check_mesh(both, "both")
    assert np.array_equal(both.points[both.face_indices][len(one.face_indices) :], other.points[other.face_indices])
    assert np.array_equal(both.st[both.st_indices][len(one.st_indices) :], other.st[other.st_indices])
    assert np.array_equal(both.colors, np.concatenate([one.colors, other.colors]))
    assert {both.face_indices.dtype, both.st_indices.dtype, both.face_counts.dtype} == {np.dtype(np.int32)}


def test_a_mesh_without_colours_is_grey_among_others_and_none_alone():
    one, bare = sheet().mesh, plain(sheet(side=4)).mesh
    both = merged([bare, one])
    assert np.array_equal(both.colors[: len(bare.points)], np.full((len(bare.points), 3), 118))
    assert np.array_equal(both.st[both.st_indices][: len(bare.face_indices)], np.zeros((len(bare.face_indices), 2)))
    assert merged([bare, bare]).st is merged([bare, bare]).colors is None


def test_faces_of_two_corners_are_refused():
    mesh = replace(plain(sheet()).mesh, face_counts=np.int32([2, 3]), face_indices=np.int32([0, 1, 0, 1, 2]))
    with pytest.raises(BadSource, match=r"scan\.obj: face 0 has 2 corners"):
        check_mesh(mesh, "scan.obj")


def test_texture_coordinates_must_be_as_many_as_corners():
    mesh = sheet().mesh
    with pytest.raises(BadSource, match="100 texture coordinates for 146 corners"):
        check_mesh(replace(mesh, st_indices=mesh.st_indices[:100]), "scan.obj")
