"""LPIPS: distance of pictures in the features of a network trained on photographs (Zhang et al. 2018).

Nobody's weights come with LIM. A file of them is what the authors' package keeps of its model, `net="alex"` or "vgg":
`torch.save(lpips.LPIPS(net="alex").state_dict(), "alex.pth")`, or the same tensors as safetensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, relu

from lim_server.models.weights import BadWeights

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
STAGES = 5
LEAST = 1e-10


@dataclass(frozen=True)
class Layer:
    """A convolution and its ReLU.

    number   in torchvision's alexnet or vgg16
    padding  pixels around; the first of AlexNet goes in strides of 4
    pool     size of the pool before it (stride 2), or 0
    ends     a stage ends with it
    """

    number: int
    padding: int
    pool: int
    ends: bool

    @property
    def stride(self) -> int:
        """Pixels from one place to the next."""
        return 4 if self.number == 0 and self.ends else 1


ALEX = (Layer(0, 2, 0, True), Layer(3, 2, 3, True), Layer(6, 1, 3, True), Layer(8, 1, 0, True), Layer(10, 1, 0, True))
VGG_FIRST, VGG_LAST = (5, 10, 17, 24), (2, 7, 14, 21, 28)
VGG = tuple(Layer(n, 1, 2 * (n in VGG_FIRST), n in VGG_LAST) for n in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28))


@dataclass(frozen=True, eq=False)
class Lpips:
    """The network's convolutions, and the weight of each channel of each stage."""

    name: str
    layers: tuple[Layer, ...]
    tensors: dict[str, Tensor]

    def __call__(self, image: Float[Tensor, "v 3 h w"], truth: Float[Tensor, "v 3 h w"]) -> Float[Tensor, ""]:
        """Mean over the views; colours from 0 to 1."""
        total = torch.zeros(len(image), device=image.device)
        for stage, (one, other) in enumerate(zip(self._features(image), self._features(truth), strict=True)):
            apart = (one - other).square()
            weight = self.tensors[f"lin{stage}.model.1.weight"].to(image)
            total = total + conv2d(apart, weight).mean((1, 2, 3))
        return total.mean()

    def _features(self, picture: Float[Tensor, "v 3 h w"]) -> list[Float[Tensor, "v c y x"]]:
        """Of each stage, of length 1 at each place."""
        shift, scale = (torch.tensor(c, device=picture.device)[:, None, None] for c in (SHIFT, SCALE))
        x, stage, found = (picture * 2 - 1 - shift) / scale, 1, []
        for layer in self.layers:
            if layer.pool:
                x = max_pool2d(x, layer.pool, 2)
            name = f"net.slice{stage}.{layer.number}"
            weight, bias = (self.tensors[f"{name}.{part}"].to(x) for part in ("weight", "bias"))
            x = relu(conv2d(x, weight, bias, layer.stride, layer.padding))
            if layer.ends:
                found.append(x / (x.square().sum(1, keepdim=True).sqrt() + LEAST))
                stage += 1
        return found


def load_lpips(path: Path) -> Lpips:
    """From a file of weights; BadWeights where it holds none of the two networks."""
    try:
        tensors = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # torch and safetensors raise whatever their parsers meet
        raise BadWeights(f"{path}: cannot be read as LPIPS weights ({error}).") from error
    for name, layers in (("AlexNet", ALEX), ("VGG", VGG)):
        if isinstance(tensors, dict) and _wanted(layers) <= tensors.keys():
            return Lpips(name, layers, {key: tensors[key].float() for key in _wanted(layers)})
    raise BadWeights(
        f'{path}: holds neither AlexNet nor VGG as LPIPS has them. Save lpips.LPIPS(net="alex").state_dict().'
    )


def _wanted(layers: tuple[Layer, ...]) -> set[str]:
    names, stage = {f"lin{k}.model.1.weight" for k in range(STAGES)}, 1
    for layer in layers:
        names |= {f"net.slice{stage}.{layer.number}.{part}" for part in ("weight", "bias")}
        stage += layer.ends
    return names
