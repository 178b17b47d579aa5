from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lim_server.models.instantmesh import InstantNerf
from lim_server.models.published_files import Release, load_published
from lim_server.models.triposr import Triposr
from lim_server.models.weights import BadWeights
from tests.lim_server.models.published_keys import (
    SMALL_INSTANT,
    SMALL_TRIPOSR,
    instant_nerf,
    random_tensors,
    triposr,
)

SMALL = (
    Release("small TripoSR", "tokenizer.embeddings", lambda: Triposr(SMALL_TRIPOSR)),
    Release("small InstantMesh", "transformer.deconv.weight", lambda: InstantNerf(SMALL_INSTANT)),
)


def triposr_file(folder: Path, **other: Tensor) -> Path:
    torch.save(random_tensors(triposr(SMALL_TRIPOSR)) | other, folder / "model.ckpt")
    return folder / "model.ckpt"


def instant_file(folder: Path) -> Path:
    """As it was published: a training module, of which the model is a part."""
    tensors = {f"lrm_generator.{name}": value for name, value in random_tensors(instant_nerf(SMALL_INSTANT)).items()}
    path = folder / "instant_nerf_base.ckpt"
    torch.save({"epoch": 3, "state_dict": tensors | {"lpips.net.lin0.weight": torch.ones(3)}}, path)
    return path


def same(model: nn.Module, tensors: dict[str, Tensor]) -> bool:
    own = model.state_dict()
    return own.keys() == tensors.keys() and all(torch.equal(own[name], tensors[name]) for name in own)


def refused(path: Path) -> str:
    with pytest.raises(BadWeights) as error:
        load_published(path, SMALL)
    assert str(path.parent) in str(error.value), "names the file"
    return str(error.value)


def test_the_model_is_found_by_its_keys(tmp_path: Path) -> None:
    one, other = load_published(triposr_file(tmp_path), SMALL), load_published(instant_file(tmp_path), SMALL)
    assert isinstance(one, Triposr) and isinstance(other, InstantNerf)
    assert same(one, random_tensors(triposr(SMALL_TRIPOSR)))
    assert same(other, random_tensors(instant_nerf(SMALL_INSTANT)))
    assert not one.training and not any(weight.requires_grad for weight in one.parameters())


def test_a_folder_and_safetensors_of_the_same_names_are_taken_too(tmp_path: Path) -> None:
    triposr_file(tmp_path)
    save_file(random_tensors(instant_nerf(SMALL_INSTANT)), tmp_path / "nerf.safetensors")
    assert isinstance(load_published(tmp_path, SMALL), Triposr)
    assert isinstance(load_published(tmp_path / "nerf.safetensors", SMALL), InstantNerf)


def test_half_precision_is_widened(tmp_path: Path) -> None:
    tensors = {name: value.half() for name, value in random_tensors(triposr(SMALL_TRIPOSR)).items()}
    torch.save(tensors, tmp_path / "model.ckpt")
    model = load_published(tmp_path, SMALL)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_small_weights_are_not_taken_for_the_published_size(tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match=r"does not fit TripoSR: .* is missing; \d+ tensors"):
        load_published(triposr_file(tmp_path))
    with pytest.raises(BadWeights, match="does not fit InstantMesh instant_nerf_base"):
        load_published(instant_file(tmp_path))


def test_a_missing_an_unknown_and_a_wrong_tensor_are_named(tmp_path: Path) -> None:
    tensors = random_tensors(triposr(SMALL_TRIPOSR))
    path = tmp_path / "model.ckpt"
    torch.save({name: value for name, value in tensors.items() if name != "backbone.proj_in.bias"}, path)
    assert "backbone.proj_in.bias is missing; 1 tensors" in refused(path)
    triposr_file(tmp_path, extra=torch.ones(3))
    assert "extra is not known" in refused(path)
    triposr_file(tmp_path, **{"decoder.layers.18.weight": torch.ones(5, 16)})
    assert "decoder.layers.18.weight is [5, 16], wanted [4, 16]" in refused(path)


def test_other_models_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "other.ckpt"
    torch.save({"transformer.layers.0.norm1.mlp.1.weight": torch.ones(2, 2)}, path)
    said = refused(path)
    assert "found transformer.layers.0.norm1.mlp.1.weight" in said and "model.ckpt" in said
    torch.save([1, 2, 3], path)
    assert "holds a list" in refused(path)
    torch.save({"state_dict": 5}, path)
    assert "holds a int" in refused(path)
    torch.save({}, path)
    assert "found no tensor" in refused(path)


def test_what_is_cut_off_damaged_or_not_there_is_refused(tmp_path: Path) -> None:
    path = triposr_file(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "cannot be read as weights" in refused(path)
    at = whole.index(random_tensors(triposr(SMALL_TRIPOSR))["backbone.proj_in.weight"].numpy().tobytes()[:64])
    path.write_bytes(whole[:at] + bytes(64) + whole[at + 64 :])
    assert "checksum of" in refused(path)
    path.write_bytes(b"<html>404</html>")
    assert "Fetch it again" in refused(path)
    path.unlink()
    assert "not there" in refused(path)


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = triposr_file(tmp_path, **{"backbone.norm.bias": torch.full((64,), torch.nan)})
    assert "backbone.norm.bias has values that are no finite numbers" in refused(path)


class Danger:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("run by the file",))


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": {"tokenizer.embeddings": torch.ones(1)}, "callbacks": Danger()}, path)
    assert "save its tensors alone" in refused(path)
    assert "run by the file" not in capsys.readouterr().out


def test_a_config_of_another_triposr_is_refused(tmp_path: Path) -> None:
    triposr_file(tmp_path)
    config = tmp_path / "config.yaml"
    config.write_text("cond_image_size: 512\nrenderer:\n  radius: 0.87 # of the box\n  density_bias: -1.0\n")
    load_published(tmp_path, SMALL)
    config.write_text("cond_image_size: 512\nrenderer:\n  radius: 1.0\n")
    with pytest.raises(BadWeights, match=r"config.yaml: radius is 1.0, only 0.87"):
        load_published(tmp_path, SMALL)
