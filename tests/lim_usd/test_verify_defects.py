"""Assets that are clean but for one thing: `verify` must find that thing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, UsdSkel, Vt
from test_verify_clean import skinned
from verify_assets import MESH, TIMES, Layer, ball, write, write_clips

from lim_usd.arrays import ints, pairs, vectors
from lim_usd.source import BadSource
from lim_usd.verify.run import verify

Spoil = Callable[[Layer], None]
PREVIEW = "/a/mtl/preview"


def put(name: str, how: Callable[[np.ndarray], np.ndarray], *times: float) -> Spoil:
    return lambda layer: layer.change(name, how, *times)


def first_point(value: object) -> Callable[[np.ndarray], np.ndarray]:
    def change(points: np.ndarray) -> np.ndarray:
        points[7] = value
        return points

    return change


def reversed_faces(layer: Layer, some: int | None = None) -> None:
    ends = np.cumsum(layer.get("faceVertexCounts"))[:-1]
    faces = np.split(layer.get("faceVertexIndices"), ends)
    turned = [face[::-1] if some is None or number < some else face for number, face in enumerate(faces)]
    layer.set("faceVertexIndices", ints(np.concatenate(turned)))


def inverted(layer: Layer) -> None:
    """The whole surface, its normals and its texture coordinates with it: each agrees with the others."""
    reversed_faces(layer)
    layer.change("normals", lambda normals: -normals)
    ends = np.cumsum(layer.get("faceVertexCounts"))[:-1]
    corners = np.split(layer.get("primvars:st:indices"), ends)
    layer.set("primvars:st:indices", ints(np.concatenate([face[::-1] for face in corners])))
    layer.set("primvars:st", pairs(layer.get("primvars:st") * [-1, 1] + [1, 0]))


def frozen(layer: Layer) -> None:
    for name in ("points", "normals", "extent"):
        for time in (6.0, 7.0):
            layer.set(name, vectors(layer.get(name, 5.0)), time)


def moved(layer: Layer, by: float, *times: float) -> None:
    for name in ("points", "extent"):
        layer.change(name, lambda values: values + np.float32(by), *times)


def shuffled(layer: Layer) -> None:
    order = np.random.default_rng(0).permutation(len(layer.get("points")))
    layer.change("points", lambda points: points[order], 6.0)


def new_frame_of(layer: Layer, *times: float) -> None:
    for name in ("points", "normals", "extent"):
        layer.erase(name, *times)


def st(how: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    return lambda layer: layer.set("primvars:st", pairs(how(layer.get("primvars:st"))))


def st_unindexed(layer: Layer) -> None:
    layer.remove("primvars:st:indices")


def st_moving(layer: Layer) -> None:
    for time in (1.0, 5.0):
        layer.set("primvars:st", pairs(layer.get("primvars:st")), time)


def st_index(layer: Layer) -> None:
    indices = layer.get("primvars:st:indices")
    indices[3] = 9999
    layer.set("primvars:st:indices", ints(indices))


def face_index(layer: Layer) -> None:
    indices = layer.get("faceVertexIndices")
    indices[3] = 9999
    layer.set("faceVertexIndices", ints(indices))


def face_counts(layer: Layer) -> None:
    layer.set("faceVertexCounts", ints(layer.get("faceVertexCounts")[:-1]))


def two_corners(layer: Layer) -> None:
    counts = layer.get("faceVertexCounts")
    counts[:2] = 2, counts[:2].sum() - 2
    layer.set("faceVertexCounts", ints(counts))


def twice_a_point(layer: Layer) -> None:
    indices = layer.get("faceVertexIndices")
    indices[1] = indices[0]
    layer.set("faceVertexIndices", ints(indices))


def shader(prim: str, name: str, value: object) -> Spoil:
    def change(layer: Layer) -> None:
        layer.spec(f"inputs:{name}", f"{PREVIEW}/{prim}").default = value

    return change


def removed(name: str, prim: str = MESH) -> Spoil:
    return lambda layer: layer.remove(name, prim)


def bound_to(target: str) -> Spoil:
    def change(layer: Layer) -> None:
        layer.prim().relationships["material:binding"].targetPathList.explicitItems = [target]

    return change


def without_api(layer: Layer) -> None:
    schemas = [name for name in layer.prim().GetInfo("apiSchemas").prependedItems if "Binding" not in name]
    layer.prim().SetInfo("apiSchemas", Sdf.TokenListOp.Create(prependedItems=schemas))


def interpolation(name: str, word: str) -> Spoil:
    return lambda layer: layer.spec(name).SetInfo("interpolation", word)


def said(key: str, value: object) -> Spoil:
    return lambda layer: layer.layer.pseudoRoot.SetInfo(key, value)


def unsaid(key: str) -> Spoil:
    return lambda layer: layer.layer.pseudoRoot.ClearInfo(key)


def no_kind(layer: Layer) -> None:
    layer.prim("/a").ClearInfo("kind")


def static(name: str) -> Spoil:
    return lambda layer: layer.erase(name)


def subset(name: str, faces: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    def change(layer: Layer) -> None:
        spec = layer.spec("indices", f"{MESH}/{name}")
        spec.default = ints(faces(np.array(spec.default)))

    return change


def flat_matrix(layer: Layer) -> None:
    prim = layer.prim("/a")
    Sdf.AttributeSpec(prim, "xformOp:scale", Sdf.ValueTypeNames.Double3).default = Gf.Vec3d(1, 0, 1)
    order = Sdf.AttributeSpec(prim, "xformOpOrder", Sdf.ValueTypeNames.TokenArray, Sdf.VariabilityUniform)
    order.default = Vt.TokenArray(["xformOp:scale"])


def scaled(layer: Layer) -> None:
    for name in ("points", "extent"):
        layer.change(name, lambda values: values * np.float32(100))
    hints = layer.layer
    for time in hints.ListTimeSamplesForPath("/a.extentsHint"):
        hints.SetTimeSample("/a.extentsHint", time, vectors(np.array([[-1e3] * 3, [1e3] * 3])))


def short_hint(layer: Layer) -> None:
    layer.layer.SetTimeSample("/a.extentsHint", 6.0, vectors(np.array([[-0.5] * 3, [0.5] * 3])))


def halved(name: str) -> Spoil:
    return lambda layer: layer.retype(
        name, Sdf.ValueTypeNames.Half3Array, lambda value: Vt.Vec3hArray(np.array(value).tolist())
    )


def plain_st(layer: Layer) -> None:
    layer.retype("primvars:st", Sdf.ValueTypeNames.Float2Array, lambda value: value)


def unnormal(normals: np.ndarray) -> np.ndarray:
    return normals * np.float32(3)


def nothing(values: np.ndarray) -> np.ndarray:
    return values * np.float32(0)


def random(values: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).normal(size=values.shape).astype(np.float32)


NAN, INF = float("nan"), float("inf")

# Spoils of one flat asset with velocities: what is done, and the one code that must come of it.
ONE_FILE: dict[str, tuple[Spoil, str]] = {
    "a point is NaN": (put("points", first_point(NAN), 6.0), "points-nan"),
    "a point is infinite": (put("points", first_point(INF), 6.0), "points-nan"),
    "a point jumps away and back": (put("points", first_point([3, 3, 3]), 6.0), "spike"),
    "one frame is elsewhere": (lambda layer: moved(layer, 2.0, 6.0), "jump"),
    "it jumps and stays": (lambda layer: moved(layer, 3.0, *TIMES[6:]), "jump"),
    "it jumps at the last frame": (lambda layer: moved(layer, 3.0, TIMES[-1]), "jump"),
    "points change places": (shuffled, "jump"),
    "two frames stand still": (frozen, "frozen"),
    "a frame is missing": (lambda layer: new_frame_of(layer, 6.0), "missing-sample"),
    "three frames are missing": (lambda layer: new_frame_of(layer, 6.0, 7.0, 8.0), "missing-sample"),
    "normals lack a frame": (lambda layer: layer.erase("normals", 6.0), "missing-sample"),
    "extent lacks a frame": (lambda layer: layer.erase("extent", 6.0), "missing-sample"),
    "velocities lack a frame": (lambda layer: layer.erase("velocities", 6.0), "missing-sample"),
    "the last frames are missing": (lambda layer: new_frame_of(layer, 11.0, 12.0), "range"),
    "the range is another": (said("endTimeCode", 48.0), "range"),
    "no range": (unsaid("endTimeCode"), "no-range"),
    "a frame has fewer points": (put("points", lambda points: points[:-4], 6.0), "point-count"),
    "a frame has more points": (put("points", lambda points: np.concatenate([points, points]), 6.0), "point-count"),
    "a frame is one point": (put("points", nothing, 6.0), "collapsed"),
    "inside out": (inverted, "winding-inverted"),
    "some faces turned": (lambda layer: reversed_faces(layer, 9), "winding-mixed"),
    "all faces turned": (reversed_faces, "normals-flipped"),
    "normals inwards": (put("normals", lambda normals: -normals), "normals-flipped"),
    "normals inwards at one frame": (put("normals", lambda normals: -normals, 6.0), "normals-flipped"),
    "normals too long": (put("normals", unnormal), "normals-length"),
    "normals zero": (put("normals", nothing, 6.0), "normals-length"),
    "normals NaN": (put("normals", first_point(NAN), 6.0), "normals-nan"),
    "normals of another mesh": (put("normals", lambda normals: np.roll(normals, 3, 0)), "normals-wrong"),
    "normals of another interpolation": (interpolation("normals", "faceVarying"), "normals-count"),
    "too few normals": (put("normals", lambda normals: normals[:-3], 6.0), "normals-count"),
    "no normals": (removed("normals"), "normals-missing"),
    "subdivision not said": (removed("subdivisionScheme"), "normals-on-subdivision"),
    "st mirrored": (st(lambda uv: uv * [-1, 1] + [1, 0]), "st-mirrored"),
    "st upside down": (st(lambda uv: uv * [1, -1] + [0, 1]), "st-mirrored"),
    "st in pixels": (st(lambda uv: uv * 1024), "st-range"),
    "st on another tile": (st(lambda uv: uv + np.array([3, 0])), "st-range"),
    "st all zero": (st(lambda uv: uv * 0), "st-collapsed"),
    "st on a line": (st(lambda uv: uv * [1, 0]), "st-collapsed"),
    "st NaN": (st(lambda uv: uv * NAN), "primvar-nan"),
    "st index out of range": (st_index, "primvar-index-range"),
    "st without its indices": (st_unindexed, "primvar-count"),
    "st of another interpolation": (interpolation("primvars:st", "vertex"), "primvar-count"),
    "st of another type": (plain_st, "st-type"),
    "st animated": (st_moving, "st-animated"),
    "no st": (removed("primvars:st"), "primvar-name"),
    "shader reads UVMap": (shader("st", "varname", "UVMap"), "primvar-name"),
    "shader reads no name": (shader("st", "varname", ""), "reader-unset"),
    "too few colours": (
        lambda layer: layer.set("primvars:displayColor:indices", ints(np.zeros(5))),
        "primvar-count",
    ),
    "no material bound": (removed("material:binding"), "no-material"),
    "bound to what is not there": (bound_to("/a/mtl/gone"), "binding-broken"),
    "bound to a mesh": (bound_to(MESH), "binding-broken"),
    "bound without the API": (without_api, "binding-without-api"),
    "texture gone": (shader("texture", "file", Sdf.AssetPath("./maps/gone.png")), "file-missing"),
    "texture on one machine": (shader("texture", "file", Sdf.AssetPath("/mnt/x/skin.png")), "absolute-path"),
    "texture on a drive": (shader("texture", "file", Sdf.AssetPath("C:\\tex\\skin.png")), "absolute-path"),
    "texture without a file": (shader("texture", "file", Sdf.AssetPath()), "texture-unset"),
    "texture read as numbers": (shader("texture", "sourceColorSpace", "raw"), "texture-color-space"),
    "texture without coordinates": (removed("inputs:st", f"{PREVIEW}/texture"), "texture-without-st"),
    "connected to nothing": (removed("outputs:rgb", f"{PREVIEW}/texture"), "connection-broken"),
    "material without a surface": (removed("outputs:surface", PREVIEW), "no-surface"),
    "no default prim": (unsaid("defaultPrim"), "no-default-prim"),
    "default prim gone": (said("defaultPrim", "b"), "no-default-prim"),
    "no up axis": (unsaid("upAxis"), "no-up-axis"),
    "no unit": (unsaid("metersPerUnit"), "no-unit"),
    "no kind": (no_kind, "no-kind"),
    "no extent": (removed("extent"), "extent-missing"),
    "one extent for all": (static("extent"), "extent-static"),
    "extent of another frame": (lambda layer: layer.set("extent", layer.get("extent", 1.0), 9.0), "extent-wrong"),
    "extent far too large": (put("extent", lambda box: box * np.float32(3), 6.0), "extent-wrong"),
    "extent inside out": (put("extent", lambda box: box[::-1], 6.0), "extent-wrong"),
    "extent NaN": (put("extent", lambda box: box * np.float32(NAN), 6.0), "extent-wrong"),
    "hint too small": (short_hint, "extents-hint"),
    "velocities per frame": (put("velocities", lambda values: values / np.float32(24)), "rate-wrong"),
    "velocities backwards": (put("velocities", lambda values: -values), "rate-wrong"),
    "velocities zero": (put("velocities", nothing), "rate-wrong"),
    "velocities random": (put("velocities", random), "rate-wrong"),
    "velocities NaN": (put("velocities", first_point(NAN), 6.0), "rate-nan"),
    "too few velocities": (put("velocities", lambda values: values[:9], 6.0), "rate-count"),
    "accelerations per frame": (put("accelerations", lambda values: values / np.float32(24)), "rate-wrong"),
    "no default points": (lambda layer: layer.spec("points").ClearDefaultValue(), "no-default-points"),
    "points in half precision": (halved("points"), "wrong-type"),
    "face index out of range": (face_index, "face-index-range"),
    "a face count lost": (face_counts, "face-counts"),
    "a face of two corners": (two_corners, "face-too-small"),
    "a face uses a point twice": (twice_a_point, "face-degenerate"),
    "no faces": (lambda layer: layer.set("faceVertexCounts", ints(np.zeros(0))), "no-faces"),
    "subset names a face too many": (subset("north", lambda faces: np.append(faces, 9999)), "subset-range"),
    "subsets overlap": (subset("north", lambda faces: np.append(faces, 0)), "subset-overlap"),
    "subsets leave a face out": (subset("north", lambda faces: faces[1:]), "subset-incomplete"),
    "a hundred times too large": (scaled, "scale-mismatch"),
    "a unit of kilometres": (said("metersPerUnit", 1e6), "unlikely-size"),
    "flattened by a transform": (flat_matrix, "transform"),
}


@pytest.mark.parametrize("name", ONE_FILE)
def test_it_is_found_in_one_file(tmp_path: Path, name: str):
    path = write(tmp_path / "a.usd", ball(), velocities=True, flat=True)
    spoil, code = ONE_FILE[name]
    with Layer(path) as layer:
        spoil(layer)
    found = verify(path).findings
    assert code in {each.code for each in found}, list(map(str, found))


def layers(name: str, spoil: Spoil) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        write(folder / "a.usd", ball())
        with Layer(folder / name) as layer:
            spoil(layer)

    return change


def clips(change: Callable[[Path], None]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        write_clips(folder / "a.usd", ball())
        change(folder)

    return make


def shadowed(folder: Path) -> None:
    with Layer(folder / "layers/a_payload.usd") as layer:
        prim = Sdf.CreatePrimInLayer(layer.layer, MESH)
        spec = Sdf.AttributeSpec(prim, "points", Sdf.ValueTypeNames.Point3fArray)
        spec.default = vectors(ball().mesh.points)


def one_clip_too_many(folder: Path) -> None:
    with Layer(folder / "layers/a_payload.usd") as layer:
        sets = layer.prim("/a").GetInfo("clips")
        sets["default"]["active"] = Vt.Vec2dArray([(1, 0), (5, 1), (9, 7)])
        layer.prim("/a").SetInfo("clips", sets)


def lost_sample(folder: Path) -> None:
    with Layer(folder / "clips/a_0002.usd") as layer:
        for name in ("points", "normals", "extent"):
            layer.erase(name, 6.0)


def another_request(folder: Path) -> None:
    with Layer(folder / "clips/a_0002.usd") as layer:
        layer.layer.customLayerData = {"lim": {"request": "another"}}


def nan_in_a_clip(folder: Path) -> None:
    with Layer(folder / "clips/a_0002.usd") as layer:
        layer.change("points", first_point(NAN), 6.0)


def empty_image(folder: Path) -> None:
    write(folder / "a.usd", ball())
    next(folder.glob("maps/a_color*")).write_bytes(b"")


def renamed_image(folder: Path) -> None:
    write(folder / "a.usd", ball())
    next(folder.glob("maps/a_color*")).write_bytes(b"GIF89a and so on")


def gone(name: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        write(folder / "a.usd", ball())
        (folder / name).unlink()

    return remove


def weights(folder: Path, change: Callable[[Usd.Stage], None]) -> None:
    skinned(folder).rename(folder / "a.usd")
    stage = Usd.Stage.Open(str(folder / "a.usd"))
    change(stage)
    stage.GetRootLayer().Save()


def signed_weights(folder: Path) -> None:
    def change(stage: Usd.Stage) -> None:
        UsdSkel.Animation(stage.GetPrimAtPath("/obj/rig/anim")).GetBlendShapeWeightsAttr().Set([-0.7], 5)

    weights(folder, change)


def heavy_joints(folder: Path) -> None:
    def change(stage: Usd.Stage) -> None:
        values = UsdGeom.Primvar(UsdSkel.BindingAPI(stage.GetPrimAtPath("/obj/rig/geo")).GetJointWeightsAttr())
        values.Set([0.5] * len(values.Get()))

    weights(folder, change)


def short_shape(folder: Path) -> None:
    def change(stage: Usd.Stage) -> None:
        UsdSkel.BlendShape(stage.GetPrimAtPath("/obj/rig/geo/fat")).GetOffsetsAttr().Set([(0, 0, 1)])

    weights(folder, change)


def no_mesh(folder: Path) -> None:
    write(folder / "a.usd", ball(), flat=True)
    with Layer(folder / "a.usd") as layer:
        layer.prim(MESH).active = False


MANY_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a clip is gone": (clips(lambda folder: (folder / "clips/a_0002.usd").unlink()), "file-missing"),
    "the frames of a gone clip": (clips(lambda folder: (folder / "clips/a_0002.usd").unlink()), "missing-sample"),
    "clips hidden by a default": (clips(shadowed), "clips-shadowed"),
    "more clips active than there are": (clips(one_clip_too_many), "clips-active"),
    "a clip lacks a frame": (clips(lost_sample), "missing-sample"),
    "a clip of another request": (clips(another_request), "mixed-requests"),
    "NaN in a clip": (clips(nan_in_a_clip), "points-nan"),
    "geometry in another unit": (layers("layers/a_geo.usd", said("metersPerUnit", 0.01)), "unit-mismatch"),
    "geometry on its side": (layers("layers/a_geo.usd", said("upAxis", "Z")), "axis-mismatch"),
    "geometry at another rate": (layers("layers/a_geo.usd", said("timeCodesPerSecond", 30.0)), "rate-mismatch"),
    "the payload is gone": (gone("layers/a_payload.usd"), "file-missing"),
    "the look is gone": (gone("layers/a_mtl.usd"), "file-missing"),
    "the thumbnail is gone": (gone("maps/a_thumbnail.png"), "file-missing"),
    "the texture is empty": (empty_image, "image-broken"),
    "the texture is no PNG": (renamed_image, "image-broken"),
    "blend weights below zero": (signed_weights, "blend-weights"),
    "joint weights of one half": (heavy_joints, "joint-weights"),
    "a blend shape of another mesh": (short_shape, "blend-shapes"),
    "the mesh is not active": (no_mesh, "no-mesh"),
}


@pytest.mark.parametrize("name", MANY_FILES)
def test_it_is_found_among_many_files(tmp_path: Path, name: str):
    make, code = MANY_FILES[name]
    make(tmp_path)
    found = verify(tmp_path / "a.usd").findings
    assert code in {each.code for each in found}, list(map(str, found))


def test_frames_and_place_are_told(tmp_path: Path):
    path = write(tmp_path / "a.usd", ball(), flat=True)
    with Layer(path) as layer:
        layer.change("points", first_point(NAN), 4.0, 5.0, 9.0)
    (found,) = [each for each in verify(path).findings if each.code == "points-nan"]
    assert (found.where, found.times) == (MESH, [4, 5, 9])
    assert str(found).startswith("points-nan: /a/geo/mesh at frames 4-5, 9: has 1 points that are not finite.")


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("one frame is elsewhere", [6]),
        ("it jumps and stays", [7]),
        ("a point jumps away and back", [6]),
        ("two frames stand still", [6, 7]),
        ("three frames are missing", [6, 7, 8]),
        ("normals inwards at one frame", [6]),
    ],
)
def test_the_frame_that_is_told_is_the_bad_one(tmp_path: Path, name: str, times: list[float]):
    path = write(tmp_path / "a.usd", ball(), velocities=True, flat=True)
    spoil, code = ONE_FILE[name]
    with Layer(path) as layer:
        spoil(layer)
    assert next(each.times for each in verify(path).findings if each.code == code) == times


def test_a_file_that_cannot_be_read_is_no_finding(tmp_path: Path):
    path = write(tmp_path / "a.usd", ball(), flat=True)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(BadSource, match=r"a\.usd: cannot be read as USD"):
        verify(path)
    with pytest.raises(BadSource, match=r"b\.usd: no such file"):
        verify(tmp_path / "b.usd")


def test_one_defect_is_not_told_as_ten(tmp_path: Path):
    """The mean over the corpus: whoever reads the report should see the cause."""
    told = []
    for name, (spoil, code) in list(ONE_FILE.items())[::4]:
        folder = tmp_path / code / name.replace(" ", "")
        folder.mkdir(parents=True)
        path = write(folder / "a.usd", ball(), velocities=True, flat=True)
        with Layer(path) as layer:
            spoil(layer)
        told.append(len(verify(path).findings))
    assert np.mean(told) < 2
