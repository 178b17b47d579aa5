"""Points of skinned meshes, posed by their skeleton and blend shapes: what a viewer shows, not what is stored."""

from __future__ import annotations

from pxr import Gf, Usd, UsdGeom, UsdSkel, Vt


class Skeletons:
    """The skeletons of a stage. A mesh without one is not its business."""

    def __init__(self, stage: Usd.Stage) -> None:
        self._cache = UsdSkel.Cache()
        within = Usd.TraverseInstanceProxies(Usd.PrimDefaultPredicate)
        for prim in Usd.PrimRange(stage.GetPseudoRoot(), within):
            if root := UsdSkel.Root(prim):
                self._cache.Populate(root, within)

    def times(self, prim: Usd.Prim) -> list[float]:
        """When the skeleton's animation of this mesh is sampled."""
        animation = self._skeleton(prim).GetAnimQuery() if self._moves(prim) else None
        if not animation:
            return []
        return [*animation.GetJointTransformTimeSamples(), *animation.GetBlendShapeWeightTimeSamples()]

    def posed(
        self, prim: Usd.Prim, points: Vt.Vec3fArray, time: Usd.TimeCode
    ) -> tuple[Vt.Vec3fArray, Gf.Matrix4d] | None:
        """The mesh's points as posed at `time`, and the matrix from there to the world; None without a skeleton."""
        if not self._moves(prim):
            return None
        query, skeleton = self._cache.GetSkinningQuery(prim), self._skeleton(prim)
        posed = Vt.Vec3fArray(points)
        if query.HasBlendShapes() and skeleton.GetAnimQuery():
            _blend(prim, query, skeleton, posed, time)
        if not query.HasJointInfluences():
            return posed, UsdGeom.Imageable(prim).ComputeLocalToWorldTransform(time)
        query.ComputeSkinnedPoints(skeleton.ComputeSkinningTransforms(time), posed, time)
        return posed, UsdGeom.Imageable(skeleton.GetPrim()).ComputeLocalToWorldTransform(time)

    def _moves(self, prim: Usd.Prim) -> bool:
        query = self._cache.GetSkinningQuery(prim)
        return bool(query) and (query.HasJointInfluences() or query.HasBlendShapes()) and bool(self._skeleton(prim))

    def _skeleton(self, prim: Usd.Prim) -> UsdSkel.SkeletonQuery:
        return self._cache.GetSkelQuery(UsdSkel.BindingAPI(prim).GetInheritedSkeleton())


def _blend(
    prim: Usd.Prim,
    query: UsdSkel.SkinningQuery,
    skeleton: UsdSkel.SkeletonQuery,
    points: Vt.Vec3fArray,
    time: Usd.TimeCode,
) -> None:
    weights = query.GetBlendShapeMapper().Remap(skeleton.GetAnimQuery().ComputeBlendShapeWeights(time))
    shapes = UsdSkel.BlendShapeQuery(UsdSkel.BindingAPI(prim))
    sub_weights, blend_indices, sub_indices = shapes.ComputeSubShapeWeights(weights)
    shapes.ComputeDeformedPoints(
        sub_weights,
        blend_indices,
        sub_indices,
        shapes.ComputeBlendShapePointIndices(),
        shapes.ComputeSubShapePointOffsets(),
        points,
    )
