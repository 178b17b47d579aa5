from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lim_server.models.lim import Lim
from lim_server.models.lrm import Lrm
from lim_server.models.presets import nano, smoke
from lim_server.models.weights import (
    BadWeights,
    Card,
    begin_from,
    digest,
    load_lim,
    load_lrm,
    read_card,
    read_tensors,
    save_weights,
    write_whole,
)
from tests.lim_server.models.networks import between, network


def card(model: str, preset: str = "smoke", **more: object) -> Card:
    return Card(model, preset, {"rate": 1e-3}, 7, {"psnr": 20.5}, **more)  # type: ignore[arg-type]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """An LRM and a LIM of one block over it."""
    lrm, lim = tmp_path / "lrm.safetensors", tmp_path / "lim.safetensors"
    model = network()
    sha256 = save_weights(lrm, model, card("lrm"))
    save_weights(lim, between(model, blocks=1), card("lim", lrm=sha256, lim_blocks=1))
    return lrm, lim


def test_what_was_saved_comes_back_to_the_bit(files: tuple[Path, Path]) -> None:
    lrm, sha256 = load_lrm(files[0], "smoke")
    assert digest(lrm.state_dict()) == sha256 == digest(network().state_dict())
    assert not lrm.training and not any(p.requires_grad for p in lrm.parameters())
    lim = load_lim(files[1], lrm, sha256)
    mine, theirs = lim.state_dict(), between(network(), blocks=1).state_dict()
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[n], theirs[n]) for n in mine)
    assert read_card(files[1])[0] == card("lim", lrm=sha256, lim_blocks=1)


def test_a_twin_comes_back_as_a_twin(files: tuple[Path, Path], tmp_path: Path) -> None:
    lrm, sha256 = load_lrm(files[0])
    twin = between(lrm, twin=True)
    save_weights(tmp_path / "twin.safetensors", twin, card("lim-xyz", lrm=sha256))
    loaded = load_lim(tmp_path / "twin.safetensors", lrm, sha256)
    assert loaded.twin and torch.equal(loaded.alpha.weight, twin.alpha.weight)


def test_the_digest_sees_names_shapes_kinds_and_values() -> None:
    one = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    assert digest(one) == digest(dict(reversed(one.items())))
    others = (
        {"a": torch.zeros(3, 2), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3), "c": torch.ones(1)},
        {"a": torch.zeros(2, 3).half(), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3), "b": torch.ones(1) + 1e-7},
    )
    assert len({digest(one), *(digest(other) for other in others)}) == 5


def refused(path: Path, words: str) -> None:
    with pytest.raises(BadWeights, match=words) as caught:
        load_lrm(path, "smoke")
    assert str(path) in str(caught.value)


def test_a_changed_value_is_found(files: tuple[Path, Path]) -> None:
    data = bytearray(files[0].read_bytes())
    data[-100] ^= 1
    files[0].write_bytes(data)
    refused(files[0], "damaged")


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_a_file_that_was_cut_is_refused(files: tuple[Path, Path], keep: int) -> None:
    files[0].write_bytes(files[0].read_bytes()[:keep])
    refused(files[0], "cannot be read as safetensors")


def test_a_changed_header_is_refused(files: tuple[Path, Path]) -> None:
    data = files[0].read_bytes()
    files[0].write_bytes(data.replace(b'\\"preset\\"', b'\\"presto\\"', 1))
    refused(files[0], "header is not whole")


def test_what_is_not_there_or_not_safetensors_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.safetensors", "cannot be read")
    other = tmp_path / "model.pt"
    torch.save({"a": torch.zeros(3)}, other)
    refused(other, "cannot be read as safetensors")
    (tmp_path / "text.safetensors").write_text("weights")
    refused(tmp_path / "text.safetensors", "cannot be read as safetensors")


def test_safetensors_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(3)}, path)
    refused(path, "no checkpoint of LIM")
    save_file({"a": torch.zeros(3)}, path, {"format": "lim-1", "card": json.dumps({"model": "lrm"})})
    refused(path, "header is not whole")


def test_another_preset_or_model_is_refused(files: tuple[Path, Path]) -> None:
    with pytest.raises(BadWeights, match="is of preset smoke, wanted is nano") as caught:
        load_lrm(files[0], "nano")
    assert str(files[0]) in str(caught.value)
    refused(files[1], "holds the model lim, wanted is lrm")
    with pytest.raises(BadWeights, match="holds the model lrm"):
        load_lim(files[0], network(), "")


def test_a_preset_whose_sizes_have_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    save_weights(path, network(width=72), card("lrm"))
    refused(path, "does not fit the preset")
    save_weights(path, network(blocks=4), card("lrm"))
    refused(path, "does not fit the preset")


def test_a_tag_that_is_not_given_begins_at_nothing(tmp_path: Path) -> None:
    lrm = network(carve=(), flow=())
    save_weights(tmp_path / "lim.safetensors", between(lrm, blocks=1), card("lim", lim_blocks=1))
    twin = Lim(lrm, blocks=1, twin=True)
    begin_from(tmp_path / "lim.safetensors", twin, ("lim",))
    assert twin.tag is not None and (twin.tag == 0).all() and twin.alpha.weight.abs().max() > 0


def test_a_lim_over_another_lrm_is_refused(files: tuple[Path, Path]) -> None:
    with pytest.raises(BadWeights, match="another LRM") as caught:
        load_lim(files[1], network(seed=5), digest(network(seed=5).state_dict()))
    assert str(files[1]) in str(caught.value)


def test_training_begins_from_weights_but_keeps_the_lrms_head(files: tuple[Path, Path]) -> None:
    other = network(seed=5)
    lim = Lim(other, blocks=1, twin=True)
    begin_from(files[1], lim, ("lim", "lim-xyz"))
    given = read_tensors(files[1], read_card(files[1])[1])
    assert torch.equal(lim.alpha.weight, given["alpha.weight"])
    assert torch.equal(lim.head.up.weight, other.head.up.weight)
    assert lim.sway is not None and other.encoder.carve is not None
    assert torch.equal(lim.sway.carve.say.weight, other.encoder.carve.say.weight)
    with pytest.raises(BadWeights, match="does not fit"):
        begin_from(files[1], Lim(other), ("lim",))
    with pytest.raises(BadWeights, match="holds the model lim"):
        begin_from(files[1], Lrm(smoke()), ("lrm",))
    with pytest.raises(BadWeights, match="preset smoke"):
        begin_from(files[0], Lrm(nano()), ("lrm",))


def write_with_room_for(size: int, path: Path, data: bytes, *, killed: bool) -> int:
    """Writes in a process that the kernel stops, or denies more, at so many bytes; its exit status."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL if killed else signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            write_whole(path, data)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def test_a_write_that_is_cut_short_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "latest.safetensors"
    write_whole(path, b"old and whole")
    denied = write_with_room_for(1 << 16, path, bytes(1 << 20), killed=False)
    assert os.WEXITSTATUS(denied) == 1
    assert [other.name for other in tmp_path.iterdir()] == [path.name] and path.read_bytes() == b"old and whole"
    killed = write_with_room_for(1 << 16, path, bytes(1 << 20), killed=True)
    assert os.WTERMSIG(killed) == signal.SIGXFSZ
    part = next(other for other in tmp_path.iterdir() if other != path)
    assert part.stat().st_size == 1 << 16 and path.read_bytes() == b"old and whole"  # it was in the middle
    assert write_with_room_for(1 << 21, path, bytes(1 << 20), killed=False) == 0
    assert path.read_bytes() == bytes(1 << 20)
