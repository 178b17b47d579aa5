"""Pictures' distances against what the authors' own programs say of the same pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lim_server.evaluation.flip import flip, flip_map
from lim_server.evaluation.lpips import load_lpips
from lim_server.evaluation.metrics import overlap, psnr, psnr_foreground, ssim
from lim_server.models.weights import BadWeights

BLACK = torch.zeros(1, 3, 24, 24)


def pictures() -> tuple[Tensor, Tensor]:
    """Two pictures that differ in colour, in edges, and in detail."""
    y, x = np.meshgrid(np.arange(40) / 40, np.arange(48) / 48, indexing="ij")
    one = np.stack([x, y, 0.5 + 0.5 * np.sin(9 * x) * np.cos(7 * y)])
    bent = [x**1.3, np.where(x > y, y, 0.8 * y), 0.5 + 0.4 * np.sin(9 * x + 0.6) * np.cos(7 * y)]
    checks = 0.1 * ((np.floor(12 * x) + np.floor(12 * y)) % 2)
    two = torch.tensor(np.stack([one, np.clip(np.stack(bent) + checks, 0, 1)]), dtype=torch.float32)
    return two[:1], two[1:]


def test_psnr_of_a_known_error() -> None:
    assert psnr(BLACK + 0.1, BLACK) == pytest.approx(20, abs=1e-4)
    assert psnr(BLACK, BLACK) == pytest.approx(100)


def test_the_foreground_alone_counts() -> None:
    mask = torch.zeros(2, 24, 24, dtype=torch.bool)
    mask[0, 4:8, 4:8] = True
    image = BLACK.repeat(2, 1, 1, 1)
    wrong_outside = image + 0.5 * ~mask[:, None]
    assert psnr_foreground(wrong_outside, image, mask) == pytest.approx(100)
    wrong_inside = image + 0.1 * mask[:, None]
    assert psnr_foreground(wrong_inside, image, mask) == pytest.approx(20, abs=1e-4)
    assert psnr(wrong_inside[:1], image[:1]) > 30


def test_ssim_as_scikit_image_has_it() -> None:
    one, other = pictures()
    # structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1), version 0.26
    assert ssim(other, one) == pytest.approx(0.55196005, abs=1e-5)
    assert ssim(one, one) == pytest.approx(1)
    # flat pictures: means alone, (2 x y + c1) / (x^2 + y^2 + c1)
    assert ssim(BLACK + 0.2, BLACK + 0.4) == pytest.approx((0.16 + 1e-4) / (0.2 + 1e-4), abs=1e-6)


def test_flip_as_its_authors_have_it() -> None:
    one, other = pictures()
    found = flip_map(other, one)[0]
    # flip_evaluator 1.7, evaluate(one, other, "LDR"): mean, least, most, and two pixels
    assert found.mean() == pytest.approx(0.42775017, abs=1e-5)
    assert (found.min(), found.max()) == pytest.approx((0.05674381, 0.95880586), abs=1e-5)
    assert (found[20, 24], found[5, 40]) == pytest.approx((0.29164964, 0.1596206), abs=1e-5)
    assert flip(one, one) == 0
    assert flip(one, other) == pytest.approx(flip(other, one).item(), abs=1e-6)


def test_iou() -> None:
    truth = torch.tensor([[True, True, False, False], [False, False, False, False]])
    inside = torch.tensor([[True, False, True, False], [False, False, False, False]])
    assert overlap(inside, truth).tolist() == pytest.approx([1 / 3, 1])


def lpips_tensors() -> dict[str, Tensor]:
    """AlexNet as LPIPS keeps it, with random weights."""
    random = torch.Generator().manual_seed(0)
    shapes = {(1, 0): (64, 3, 11), (2, 3): (192, 64, 5), (3, 6): (384, 192, 3), (4, 8): (256, 384, 3)}
    shapes[5, 10] = (256, 256, 3)
    tensors = {}
    for (stage, number), (out, into, side) in shapes.items():
        name = f"net.slice{stage}.{number}"
        tensors[f"{name}.weight"] = torch.randn(out, into, side, side, generator=random) / (into * side**2) ** 0.5
        tensors[f"{name}.bias"] = 0.1 * torch.randn(out, generator=random)
        tensors[f"lin{stage - 1}.model.1.weight"] = torch.rand(1, out, 1, 1, generator=random)
    return tensors


def modules_distance(tensors: dict[str, Tensor], one: Tensor, other: Tensor) -> float:
    """The same network of torch's own modules."""

    def features(picture: Tensor) -> list[Tensor]:
        x = (picture * 2 - 1 - torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)) / torch.tensor(
            [0.458, 0.448, 0.450]
        ).view(3, 1, 1)
        found = []
        for stage, number, stride, padding in ((1, 0, 4, 2), (2, 3, 1, 2), (3, 6, 1, 1), (4, 8, 1, 1), (5, 10, 1, 1)):
            weight = tensors[f"net.slice{stage}.{number}.weight"]
            layer = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], stride, padding)
            layer.load_state_dict({part: tensors[f"net.slice{stage}.{number}.{part}"] for part in ("weight", "bias")})
            x = nn.ReLU()(layer(nn.MaxPool2d(3, 2)(x) if number in (3, 6) else x))
            found.append(nn.functional.normalize(x, dim=1))
        return found

    total = 0.0
    for stage, (a, b) in enumerate(zip(features(one), features(other), strict=True)):
        total += ((a - b) ** 2 * tensors[f"lin{stage}.model.1.weight"]).sum(1).mean().item()
    return total


def test_lpips_from_either_kind_of_file(tmp_path: Path) -> None:
    tensors = lpips_tensors()
    torch.save(tensors, tmp_path / "alex.pth")
    save_file(tensors, tmp_path / "alex.safetensors")
    random = torch.Generator().manual_seed(1)
    one, other = torch.rand(2, 1, 3, 64, 64, generator=random)
    with torch.no_grad():
        wanted = modules_distance(tensors, one, other)
    for name in ("alex.pth", "alex.safetensors"):
        lpips = load_lpips(tmp_path / name)
        assert lpips.name == "AlexNet"
        assert lpips(one, other).item() == pytest.approx(wanted, rel=1e-4)
        assert lpips(one, one) == 0


def test_a_file_without_lpips_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(BadWeights, match=r"other.safetensors: holds neither AlexNet nor VGG"):
        load_lpips(path)
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(BadWeights, match=r"text.pth: cannot be read"):
        load_lpips(tmp_path / "text.pth")
