from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lim_server.models.weights import read_card
from lim_server.training.__main__ import main
from lim_server.training.interrupt import Interrupt
from tests.lim_server.training.packs import write
from tests.lim_server.training.runs import log


def called(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["lim train", *map(str, words)])
    main()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files and folders that are not what they should be."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "pack").mkdir()
    write(tmp_path / "pack" / "good.walk.npz")
    write(tmp_path / "pack" / "short.walk.npz", faces=None)
    (tmp_path / "text").write_text("no weights")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["smoke-lim", "--out", "o"], "smoke-lim is trained over an LRM: give --lrm"),
        (["smoke-lim", "--out", "o", "--lrm", "none.safetensors"], "none.safetensors: no such file"),
        (["smoke-lrm", "--out", "o", "--start", "empty"], "empty: no such file"),
        (["smoke-lrm", "--out", "text"], "text is a file. Name a folder"),
        (["smoke-lrm", "--out", "o", "--clips", "nowhere"], "nowhere holds no clips"),
        (["smoke-lrm", "--out", "o", "--clips", "empty"], "empty holds no clips. Make some with lim clips"),
        (["smoke-lrm", "--out", "o", "--clips", "pack"], "short.walk.npz: cannot be read as a clip"),
        (["smoke-lrm", "--out", "o", "--minutes", "0"], "--minutes: 0.0. Use a number above zero"),
        (["smoke-lrm", "--out", "o", "--minutes", "-3"], "--minutes: -3.0"),
        (["smoke-lrm", "--out", "o", "--minutes", "nan"], "--minutes: nan"),
        (["smoke-lrm", "--out", "o", "--pace", "0"], "--pace: 0.0. Use a number from above 0 to 1"),
        (["smoke-lrm", "--out", "o", "--steps", "0"], "--steps: 0. Use 1 or more"),
        (["smoke-lrm", "--out", "o", "--decay", "-1"], "--decay: -1. Use 0 or more"),
        (["smoke-lrm", "--out", "o", "--seed", "-1"], "--seed: -1"),
        (["smoke-lrm", "--out", "o", "--batch", "0"], "--batch: 0. Use 1 or more"),
        (["smoke-lrm", "--out", "o", "--device", "abacus"], "--device: abacus is none"),
        (["smoke-lrm"], "--out"),
        (["big-lrm", "--out", "o"], "invalid choice: 'big-lrm'"),
    ],
)
def test_a_wrong_word_is_told_and_nothing_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as caught:
        called(monkeypatch, *words)
    assert caught.value.code == 2 and told in capsys.readouterr().err
    assert not (folder / "o").exists()


def test_weights_that_are_none_end_in_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"lim train: .*text: cannot be read as safetensors"):
        called(monkeypatch, "smoke-lim", "--out", folder / "o", "--lrm", folder / "text")


def test_words_take_the_place_of_the_recipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called(monkeypatch, "smoke-lrm", "--out", tmp_path, "--steps", 2, "--decay", 0, "--seed", 3, "--batch", 2)
    path = Path(capsys.readouterr().out.strip())
    card = read_card(path)[0]
    assert path.parent == tmp_path and card.step == 2
    assert [card.recipe[name] for name in ("steps", "decay", "seed", "batch")] == [2, 0, 3, 2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_handlers_come_back(number: int) -> None:
    before = signal.getsignal(number)
    with Interrupt() as interrupt:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupt.number == number  # the first one
    assert signal.getsignal(number) is before


@pytest.mark.slow
def test_a_signal_ends_it_after_its_step_with_a_checkpoint(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "lim_server.training", "smoke-lrm", "--out", tmp_path, "--steps", "1000000"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "log.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, err
    assert "checkpoint to go on from" in err and "Traceback" not in err
    card = read_card(Path(out.strip()))[0]
    assert card.step >= log(tmp_path)[-1]["step"] > 0
    assert {path.suffix for path in tmp_path.iterdir() if path.is_file()} <= {".jsonl", ".safetensors", ".png"}
