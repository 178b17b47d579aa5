from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, silu

from lim_server.models.dino import Dino, DinoBlock, DinoSize
from lim_server.models.field import sample_planes
from lim_server.models.instantmesh import InstantNerf, InstantNerfBlock, InstantNerfSize, camera_numbers
from lim_server.models.published import PublishedLrm
from lim_server.models.triposr import Triposr, TriposrBlock, TriposrSize
from lim_server.render.cameras import Cameras, orbit
from lim_server.render.volume import render
from tests.lim_server.models.published_keys import (
    SMALL_INSTANT,
    SMALL_TRIPOSR,
    instant_nerf,
    random_tensors,
    triposr,
)


def rig(views: int = 6) -> Cameras:
    """The published one: Zero123++'s."""
    azimuth = torch.tensor([30.0, 90, 150, 210, 270, 330])[:views]
    elevation = torch.tensor([20.0, -10, 20, -10, 20, -10])[:views]
    return orbit(azimuth, elevation, torch.full((views,), 4.0), torch.full((views,), 30.0))


def small_triposr() -> Triposr:
    model = Triposr(SMALL_TRIPOSR)
    model.load_state_dict(random_tensors(triposr(SMALL_TRIPOSR)))
    return model.eval().requires_grad_(False)


def small_instant() -> InstantNerf:
    model = InstantNerf(SMALL_INSTANT)
    model.load_state_dict(random_tensors(instant_nerf(SMALL_INSTANT)))
    return model.eval().requires_grad_(False)


def pictures(views: int, size: int = 64) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    mask = (torch.rand(2, views, 1, size, size, generator=draw) > 0.4).float()
    return torch.rand(2, views, 3, size, size, generator=draw) * mask, mask


def whole(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def millions(model: nn.Module) -> float:
    return sum(value.numel() for value in model.state_dict().values()) / 1e6


def test_triposr_has_the_published_tensors() -> None:
    with torch.device("meta"):
        model = Triposr()
    assert whole(model) == triposr(TriposrSize())
    assert len(whole(model)) == 549
    assert millions(model) == pytest.approx(419.28, abs=0.005)
    parts = (model.image_tokenizer, model.tokenizer, model.backbone, model.post_processor, model.decoder)
    assert [round(millions(part), 3) for part in parts] == [86.389, 3.146, 329.535, 0.164, 0.041]


@pytest.mark.parametrize(
    ("size", "transformer"), [(InstantNerfSize(), 198.5), (InstantNerfSize(blocks=16, channels=80), 263.7)]
)
def test_instant_nerf_has_the_published_tensors(size: InstantNerfSize, transformer: float) -> None:
    with torch.device("meta"):
        model = InstantNerf(size)
    assert whole(model) == instant_nerf(size)
    assert millions(model.transformer) == pytest.approx(transformer, abs=0.05)


def softmax_attention(x: Tensor, of: Tensor, weights: tuple[Tensor, Tensor, Tensor], heads: int) -> Tensor:
    """Of one batch item, written out: weights @ x, no bias."""
    q, k, v = (t @ w.T for t, w in zip((x, of, of), weights, strict=True))
    wide = q.shape[-1] // heads
    out = []
    for h in range(heads):
        part = slice(h * wide, (h + 1) * wide)
        out.append(torch.softmax(q[:, part] @ k[:, part].T / math.sqrt(wide), -1) @ v[:, part])
    return torch.cat(out, -1)


def normed(x: Tensor, norm: nn.Module, eps: float = 1e-5) -> Tensor:
    assert isinstance(norm, nn.LayerNorm)
    return layer_norm(x, x.shape[-1:], norm.weight, norm.bias, eps)


def test_a_block_of_triposr_is_its_formula() -> None:
    block = small_triposr().backbone.transformer_blocks[0]
    assert isinstance(block, TriposrBlock)
    x, image = torch.randn(1, 20, 64), torch.randn(1, 7, 48)
    y = x[0]
    for attention, of, norm in ((block.attn1, None, block.norm1), (block.attn2, image[0], block.norm2)):
        seen = normed(y, norm)
        weights = (attention.to_q.weight, attention.to_k.weight, attention.to_v.weight)
        last = attention.to_out[0]
        assert isinstance(last, nn.Linear)
        y = y + softmax_attention(seen, seen if of is None else of, weights, 4) @ last.weight.T + last.bias
    first, second = block.ff.net[0].proj, block.ff.net[2]
    value, gate = (normed(y, block.norm3) @ first.weight.T + first.bias).split(256, -1)
    y = y + (value * gate * 0.5 * (1 + torch.erf(gate / math.sqrt(2)))) @ second.weight.T + second.bias
    assert torch.allclose(block(x, image)[0], y, atol=1e-4)


def test_a_block_of_instant_nerf_is_its_formula() -> None:
    block = small_instant().transformer.layers[0]
    assert isinstance(block, InstantNerfBlock)
    x, images = torch.randn(1, 20, 64), torch.randn(1, 7, 48)
    cross, own = block.cross_attn, block.self_attn
    weights = (cross.q_proj_weight, cross.k_proj_weight, cross.v_proj_weight)
    y = x[0] + softmax_attention(normed(x[0], block.norm1), images[0], weights, 4) @ cross.out_proj.weight.T
    seen, (q, k, v) = normed(y, block.norm2), own.in_proj_weight.chunk(3)
    y = y + softmax_attention(seen, seen, (q, k, v), 4) @ own.out_proj.weight.T
    first, second = block.mlp[0], block.mlp[3]
    y = y + gelu(normed(y, block.norm3) @ first.weight.T + first.bias) @ second.weight.T + second.bias
    assert torch.allclose(block(x, images)[0], y, atol=1e-4)


def test_a_block_of_dino_is_a_transformer_layer() -> None:
    block = small_triposr().image_tokenizer.model.encoder.layer[0]
    assert isinstance(block, DinoBlock)
    twin = nn.TransformerEncoderLayer(48, 4, 192, 0.0, "gelu", 1e-12, batch_first=True, norm_first=True)
    at = block.attention.attention
    pairs = (
        (twin.self_attn.in_proj_weight, torch.cat([part.weight for part in (at.query, at.key, at.value)])),
        (twin.self_attn.in_proj_bias, torch.cat([part.bias for part in (at.query, at.key, at.value)])),
    )
    with torch.no_grad():
        for mine, theirs in pairs:
            mine.copy_(theirs)
    twin.self_attn.out_proj, twin.linear1, twin.linear2 = (  # type: ignore[assignment]
        part.dense for part in (block.attention.output, block.intermediate, block.output)
    )
    twin.norm1, twin.norm2 = block.layernorm_before, block.layernorm_after
    x = torch.randn(2, 9, 48)
    assert torch.allclose(block(x, None), twin.train()(x), atol=1e-5)


def test_the_camera_shifts_and_scales_what_a_block_of_dino_looks_at() -> None:
    block = small_instant().encoder.model.encoder.layer[0]
    assert isinstance(block, DinoBlock) and block.adaLN_modulation is not None
    x, camera = torch.randn(1, 9, 48), torch.randn(1, 48)
    modulation = block.adaLN_modulation[1]
    shift, scale, shift2, scale2 = (silu(camera) @ modulation.weight.T + modulation.bias)[0].split(48)
    y = x + block.attention(normed(x, block.layernorm_before, 1e-12) * (1 + scale) + shift)
    wide = block.intermediate.dense(normed(y, block.layernorm_after, 1e-12) * (1 + scale2) + shift2)
    assert torch.allclose(block(x, camera), y + block.output.dense(gelu(wide)), atol=1e-5)


def cubic(away: Tensor) -> Tensor:
    """The kernel of bicubic interpolation (Keys 1981, a = -0.75)."""
    t = away.abs()
    near = 1.25 * t**3 - 2.25 * t**2 + 1
    far = -0.75 * (t**3 - 5 * t**2 + 8 * t - 4)
    return torch.where(t <= 1, near, torch.where(t < 2, far, 0.0))


def test_positions_of_other_sizes_are_bicubic_with_the_published_step() -> None:
    model = Dino(DinoSize(width=2, heads=1, blocks=1, patch=4, grid=14)).requires_grad_(False)
    grid = torch.randn(14, 14, 2)
    model.embeddings.position_embeddings[0, 1:] = grid.flatten(0, 1)
    assert torch.equal(model.embeddings.positions(14)[0], grid.flatten(0, 1))
    at = (torch.arange(32) + 0.5) * 14 / 32.1 - 0.5  # 14 patches over 32.1
    inner = at[6:26]  # away from the border, where the kernel would leave the grid
    weights = cubic(inner[:, None] - torch.arange(14.0))
    want = torch.einsum("ri,cj,ijd->rcd", weights, weights, grid)
    assert torch.allclose(model.embeddings.positions(32)[0].reshape(32, 32, 2)[6:26, 6:26], want, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "theirs"),
    [(Triposr, ((0, 1), (0, 2), (1, 2))), (InstantNerf, ((0, 1), (0, 2), (2, 1)))],
    ids=["triposr", "instant_nerf"],
)
def test_planes_are_read_where_they_were_published_to_be(
    model: type[PublishedLrm], theirs: tuple[tuple[int, int], ...]
) -> None:
    side = 10
    at = (torch.arange(side) + 0.5) * (2 / side) - 1
    row, column = torch.meshgrid(at, at, indexing="ij")
    planes = torch.stack((column, row)).expand(1, 3, 2, side, side)
    points = torch.rand(1, 50, 3) * 1.8 - 0.9
    z_up = points[..., [2, 0, 1]]  # their x is our z, their z our y
    want = torch.cat([z_up[..., list(pair)] for pair in theirs], -1)
    assert torch.allclose(sample_planes(planes, points, model.axes, "zeros"), want, atol=1e-5)
    edge = sample_planes(torch.ones(1, 3, 2, side, side), torch.ones(1, 1, 3), model.axes, "zeros")
    assert torch.allclose(edge, torch.tensor(0.25)), "half of a border cell is outside, along both axes"


def test_cameras_are_numbered_as_instant_nerf_was_trained() -> None:
    """Zero123++'s rig, from its angles: positions z up, axes right, up and back, focal length of 30 degrees."""
    found = camera_numbers(rig())
    for k, (azimuth, elevation) in enumerate(zip(range(30, 360, 60), (20, -10, 20, -10, 20, -10), strict=True)):
        a, e = math.radians(azimuth), math.radians(elevation)
        back = torch.tensor([math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)])
        right = torch.tensor([-math.sin(a), math.cos(a), 0])
        up = torch.linalg.cross(back, right)
        world = torch.stack((right, up, back, 4 * back), -1).flatten()
        focal = 0.5 / math.tan(math.radians(15))
        assert torch.allclose(found[k], torch.cat((world, torch.tensor([focal, focal, 0.5, 0.5]))), atol=1e-5)


def test_an_axis_off_the_middle_is_told_from_the_top_left() -> None:
    cameras = rig(1)
    off = Cameras(cameras.world, cameras.focal, torch.tensor([[0.5, 0.5]]))
    assert camera_numbers(off)[0, 14:].tolist() == [0.75, 0.25]


def last_layer(model: PublishedLrm) -> nn.Linear:
    net = model.decoder.layers if isinstance(model, Triposr) else model.synthesizer.decoder.net  # type: ignore[union-attr]
    last = net[-1]
    assert isinstance(last, nn.Linear)
    return last


@pytest.mark.parametrize(
    ("make", "density"),
    [(small_triposr, math.exp(1.7 - 1) / 2), (small_instant, math.log(1 + math.exp(1.7 - 1)))],
    ids=["triposr", "instant_nerf"],
)
def test_density_and_colour_are_activated_as_published(make: type[PublishedLrm], density: float) -> None:
    model = make()
    last = last_layer(model)
    last.weight.zero_()
    last.bias.copy_(torch.tensor([1.7, 0.0, 1.0, -30.0]))
    found, colour = model.density_and_colour(torch.randn(1, 3, 5, 8, 8), torch.rand(1, 4, 3))
    assert torch.allclose(found, torch.tensor(density))
    assert torch.allclose(colour, torch.tensor([0.5, 1 / (1 + math.exp(-1)), 0.0]).expand(1, 4, 3), atol=1e-3)


@pytest.mark.parametrize(("make", "views"), [(small_triposr, 1), (small_instant, 6), (small_instant, 4)])
def test_views_become_a_field_that_can_be_rendered(make: type[PublishedLrm], views: int) -> None:
    model = make()
    colour, mask = pictures(views)
    with torch.no_grad():
        planes = model(colour, mask, rig(views))
        assert planes.shape == (2, 3, 5, 8, 8)
        assert not torch.allclose(planes[0], planes[1]), "different pictures, different planes"
        alone = model(colour[1:], mask[1:], rig(views))
        assert torch.allclose(alone[0], planes[1], atol=1e-4), "a batch is its items"
        origins, directions = (ray[None].expand(2, -1, -1) for ray in (r[0] for r in rig().rays(8)))
        seen = render(model.field(planes), origins, directions, 16)
    assert seen.hit.min() > 0 and seen.hit.max() <= 1
    assert seen.colour.isfinite().all()


@pytest.mark.parametrize("make", [small_triposr, small_instant])
def test_pictures_of_any_size_stand_on_the_published_ground(make: type[PublishedLrm]) -> None:
    model = make()
    ground = 0.5 if isinstance(model, Triposr) else 1.0
    nothing = torch.zeros(1, 1, 1, 128, 128)
    filled = torch.full((1, 1, 3, 64, 64), ground)
    with torch.no_grad():
        empty = model(torch.zeros(1, 1, 3, 128, 128), nothing, rig(1))
        even = model(filled, torch.ones(1, 1, 1, 64, 64), rig(1))
    assert torch.allclose(empty, even, atol=1e-4)


def test_cameras_matter_to_instant_nerf() -> None:
    model = small_instant()
    colour, mask = pictures(2)
    with torch.no_grad():
        one, other = model(colour, mask, rig(6)[:2]), model(colour, mask, rig(6)[2:4])
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize(("make", "views"), [(small_triposr, 2), (small_instant, 7)])
def test_views_that_a_model_does_not_take_are_refused(make: type[PublishedLrm], views: int) -> None:
    colour, mask = pictures(views)
    with pytest.raises(ValueError, match=f"{views} views given, .* takes 1"):
        make()(colour, mask, rig(1))
