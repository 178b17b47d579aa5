"""The bookkeeping: thresholds, gaps, tracking, and the tables from beginning to end with untrained weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lim_server.evaluation.__main__ import main
from lim_server.evaluation.decoded import STEPS, cell_centres, decode, rays_of
from lim_server.evaluation.heldout import CELLS, MIDDLE, TEST, HeldOut, held_out, novel_cameras
from lim_server.evaluation.methods import BOTH, COPY, IMAGES, LINEAR, ORACLE, keys_of, methods
from lim_server.evaluation.scores import BIASES, TIED, best_biases, gap_closed, mean_and_error, scores, swept
from lim_server.evaluation.tracking import (
    ALIGNED,
    FLOOR,
    NEAREST,
    STILL,
    TWIN,
    canonical_errors,
    matching,
    tracking_errors,
)
from lim_server.models.field import Decoder
from lim_server.models.lim import Lim
from lim_server.models.lrm import Lrm
from lim_server.models.presets import PRESETS
from lim_server.models.weights import Card, save_weights
from lim_server.render.volume import render
from lim_server.training.feed import Source

SIZE = 24


@pytest.fixture(scope="module")
def held() -> HeldOut:
    cameras = novel_cameras(2)
    return next(held_out(Source(None, 0.0), [TEST + 3], SIZE, cameras, "cpu"))


class Ball(Decoder):
    """A smooth ball of radius .5 + the bias over its slope, whatever the triplane says."""

    def forward(self, planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        return 20 * (0.5 - points.norm(dim=-1)), points.abs()


def ball() -> tuple[Ball, Tensor]:
    preset = PRESETS["smoke"]()
    return Ball(preset), torch.zeros(1, 3, preset.channels, preset.cells, preset.cells)


def test_a_decoded_triplane_looks_as_the_renderer_has_it() -> None:
    decoder, planes = ball()
    cameras = novel_cameras(2)
    with torch.no_grad():
        decoded = decode(decoder, planes, rays_of(cameras, SIZE))
        for bias in (-1.0, 0.0, 1.0):

            def field(points: Tensor, bias: float = bias) -> tuple[Tensor, Tensor]:
                logit, colour = decoder(planes, points)
                return decoder.opacity(logit + bias), colour

            whole = render(field, *cameras.rays(SIZE), STEPS).colour.mT.reshape(2, 3, SIZE, SIZE)
            assert (decoded.picture(bias) - whole).abs().max() < 0.01
            share = (cell_centres().norm(dim=-1) < 0.5 + bias / 20).float().mean()
            assert decoded.inside(bias).float().mean() == share
    assert len(decoded.live) < 2 * SIZE**2, "rays that come near nothing are left out"


def test_what_is_known_of_a_sequence_is_true(held: HeldOut) -> None:
    frames, mask = held.frames, held.mask
    assert (held.novel[MIDDLE].amax(1) > 0)[~mask].sum() == 0
    assert held.motion == pytest.approx((frames[2] - frames[0]).norm(dim=-1).mean().item(), rel=1e-5)
    # seen from a novel camera, what is solid lies behind the mask, or next to it: its pixels are large
    near = torch.nn.functional.max_pool2d(mask.float(), 3, 1, 1)
    centres = cell_centres()[held.cells]
    flat = novel_cameras(2).project(centres.expand(2, -1, -1))
    for view in range(2):
        column = ((flat[view, :, 0] + 1) * SIZE / 2).long()
        row = ((1 - flat[view, :, 1]) * SIZE / 2).long()
        assert near[view, row, column].all()
        assert mask[view, row, column].float().mean() > 0.85
    assert held.cells.shape == (CELLS**3,)


def test_sequences_of_training_and_evaluation_never_meet() -> None:
    from lim_server.evaluation.heldout import VALIDATION
    from lim_server.training.recipes import RECIPES

    most = max(make().seed for make in RECIPES.values()) * 10**9 + 10**9
    assert most < TEST < TEST + 10**6 * 10**9 <= VALIDATION


def test_the_true_shape_scores_best_at_its_own_threshold(held: HeldOut) -> None:
    decoder, planes = ball()
    with torch.no_grad():
        decoded = decode(decoder, planes, rays_of(novel_cameras(2), SIZE))
    truth = decoded.inside(0.5)
    same = replace(held, cells=truth, novel=decoded.picture(0.5).detach().expand(3, -1, -1, -1, -1))
    with torch.no_grad():
        sweep = swept(same, decoded)
        assert best_biases([sweep, sweep]) == {
            "IoU": pytest.approx(0.5, abs=0.5),
            "PSNR": 0.5,
            "PSNR_FG": 0.5,
        }
        assert max(sweep["IoU"]) == 1 and sweep["IoU"][BIASES.index(0.5)] == 1
        found = scores(same, decoded, {"IoU": 0.5, "PSNR": 0.5, "PSNR_FG": 0.5}, None)
    assert found["PSNR"] == found[TIED] == pytest.approx(100)
    assert (found["SSIM"], found["FLIP"]) == (pytest.approx(1), pytest.approx(0))
    assert "LPIPS" not in found


def test_thresholds_are_the_metric_s_own_and_the_mean_s() -> None:
    rise, fall = list(np.linspace(0, 1, len(BIASES))), list(np.linspace(1, 0, len(BIASES)))
    weak = [0.1 * value for value in fall]
    sweeps = [{"IoU": rise, "PSNR": fall, "PSNR_FG": rise}, {"IoU": weak, "PSNR": fall, "PSNR_FG": weak}]
    assert best_biases(sweeps) == {"IoU": BIASES[-1], "PSNR": BIASES[0], "PSNR_FG": BIASES[-1]}


def test_gap() -> None:
    low, high = [10.0, 20.0, 30.0, 40.0], [20.0, 30.0, 40.0, 50.0]
    assert gap_closed([14.0, 24.0, 34.0, 44.0], low, high) == pytest.approx((40, 0), abs=1e-9)
    assert gap_closed(low, low, high)[0] == 0 and gap_closed(high, low, high)[0] == 100
    share, error = gap_closed([11.0, 27.0, 33.0, 45.0], low, high)
    assert share == pytest.approx(40) and error > 5
    assert np.isnan(gap_closed(low, high, high)).all(), "no gap, no share of it"
    assert mean_and_error([1.0, 2.0, 3.0, 4.0]) == pytest.approx((2.5, 0.6455), abs=1e-4)


def test_tracking_by_perfect_coordinates_errs_by_the_sampling_alone(held: HeldOut) -> None:
    match = matching(held, 0)
    assert len(match.sources) > 1000 and len(match.candidates) > 1000
    found = tracking_errors(match, {TWIN: match.canonical})
    assert found[TWIN] == found[FLOOR] < 0.05 < found[STILL]
    assert canonical_errors(match, {TWIN: match.canonical})[TWIN] == 0
    shuffled = match.canonical[torch.randperm(len(match.canonical), generator=torch.Generator().manual_seed(0))]
    assert tracking_errors(match, {TWIN: shuffled})[TWIN] > found[NEAREST]


def test_a_thing_that_only_moves_along_is_found_by_aligned_centroids(held: HeldOut) -> None:
    first = held.frames[0] * 0.5
    step = torch.tensor([0.4, 0.1, 0.0])
    moved = replace(held, frames=torch.stack((first, first + step / 2, first + step)))
    found = tracking_errors(matching(moved, 0), {})
    assert found[STILL] == pytest.approx(step.norm().item(), abs=1e-4)
    assert found[ALIGNED] < 0.2 * found[NEAREST]


def test_methods_meet_at_the_ends(held: HeldOut) -> None:
    torch.manual_seed(0)
    lrm = Lrm(PRESETS["smoke"]()).eval()
    lim = Lim(lrm).eval()
    nn.init.normal_(lim.alpha.weight, std=0.1)
    rows = methods({"LIM": lim}, lim)
    assert list(rows) == [COPY, LINEAR, IMAGES, "LIM", BOTH, ORACLE]
    with torch.no_grad():
        begin = keys_of(lrm, replace(held, time=0.0))
        made = {name: row(begin) for name, row in rows.items()}
        for name in (COPY, LINEAR, IMAGES):
            torch.testing.assert_close(made[name], begin.near.planes, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(made[BOTH], made["LIM"])
        torch.testing.assert_close(made[ORACLE], begin.middle.planes)
        later = keys_of(lrm, replace(held, time=0.75))
        torch.testing.assert_close(rows[COPY](later), later.far.planes)
        assert not torch.allclose(rows[IMAGES](later), rows[LINEAR](later))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of untrained checkpoints of the smallest preset."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    lrm = Lrm(PRESETS["smoke"]())
    sha256 = save_weights(folder / "lrm.safetensors", lrm, Card("lrm", "smoke", {"seed": 0}, 0, {}))
    for name, blocks, twin in (("lim", None, False), ("seed1", None, False), ("short", 1, False), ("xyz", None, True)):
        lim = Lim(lrm, blocks=blocks, twin=twin)
        nn.init.normal_(lim.alpha.weight, std=0.1)
        card = Card("lim-xyz" if twin else "lim", "smoke", {"seed": int(name == "seed1")}, 0, {}, sha256, blocks)
        save_weights(folder / f"{name}.safetensors", lim, card)
    return folder


def test_the_tables_from_beginning_to_end(weights: Path, tmp_path: Path) -> None:
    every = ["--lrm", weights / "lrm.safetensors", "--lim", weights / "lim.safetensors", weights / "seed1.safetensors"]
    every += ["--lim-short", weights / "short.safetensors", "--xyz", weights / "xyz.safetensors"]
    main([*map(str, every), "--sequences", "3", "--validation", "2", "--views", "1", "--out", str(tmp_path)])
    told = json.loads((tmp_path / "results.json").read_text())
    names = list(told["best"])
    assert names[:3] == [COPY, LINEAR, IMAGES] and names[-2:] == [BOTH, ORACLE]
    assert "LIM with 1 of 2 blocks" in names
    assert all(len(rows) == 3 for rows in (*told["best"].values(), *told["tracking"].values()))
    assert all(set(bias.values()) <= set(BIASES) for bias in told["bias"].values())
    text = (tmp_path / "results.md").read_text()
    for name in (*names, *told["tracking"], "no weights given", "LIM over 2 trainings"):
        assert name in text
    sha256 = [line.split()[-1] for line in told["made"]["checkpoints"]]
    assert len(sha256) == 5 and all(len(digest) == 64 for digest in sha256)
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_bad_words_are_named(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lrm, lim = weights / "lrm.safetensors", weights / "lim.safetensors"
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(lrm.read_bytes()[:-100])
    for words, told in (
        ((broken,), r"broken.safetensors: cannot be read as safetensors"),
        ((tmp_path / "none",), "none: no such file"),
        ((lrm, "--lim", lrm), "lrm.safetensors: holds the model lrm, wanted is lim."),
        ((lrm, "--xyz", lim), "lim.safetensors: holds the model lim, wanted is lim-xyz."),
        ((lrm, "--sequences", "0"), "--sequences: 0. Use 1 or more"),
        ((lrm, "--clips", tmp_path / "empty"), "empty holds no clips. Make some with lim clips"),
        ((lrm, "--device", "abacus"), "--device: abacus is none"),
        ((lrm, "--out", lrm), "is a file. Name a folder"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["--out", str(tmp_path / "out"), "--lrm", *map(str, words)])
        assert ended.value.code == 2
        assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
