"""`lim verify` as a person or a farm runs it: words, JSON, a page, and exit codes that can be trusted."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "lim_usd"))

from verify_assets import Layer, ball, write

COMMAND = [str(Path(sys.executable).with_name("lim")), "verify"]


def lim(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write(tmp_path / "good.usd", ball())


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = write(tmp_path / "a.usd", ball(), flat=True)
    with Layer(path) as layer:
        layer.change("normals", lambda normals: -normals, 6.0)
        layer.layer.pseudoRoot.ClearInfo("upAxis")
    return path


def test_a_clean_file_is_zero(good: Path) -> None:
    result = lim(good)
    assert result.returncode == 0, result.stderr
    assert "nothing is wrong; 12 frames of 1 meshes" in result.stdout
    assert "/good/geo/mesh: consistent topology; 74 points, 84 faces, 12 frames 1 to 12" in result.stdout
    assert result.stderr == ""


def test_findings_are_one_and_are_told(bad: Path) -> None:
    result = lim(bad)
    assert result.returncode == 1
    assert re.search(r"no-up-axis: .*a\.usd: does not say which axis is up\. Say upAxis", result.stdout)
    assert re.search(r"normals-flipped: /a/geo/mesh at frame 6: ", result.stdout)
    assert "2 things are wrong" in result.stdout


def test_the_same_as_json(good: Path, bad: Path) -> None:
    clean, told = (json.loads(lim(path, "--json").stdout) for path in (good, bad))
    assert clean["clean"]
    assert clean["findings"] == []
    assert clean["topology"][0]["kind"] == "static"
    assert not told["clean"]
    found = {each["code"]: each for each in told["findings"]}
    assert found["normals-flipped"]["times"] == [6.0]
    assert found["normals-flipped"]["where"] == "/a/geo/mesh"
    assert told["frames"] == 12


class _Page(HTMLParser):
    """Counts tags, and sees that each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_with_plots_and_pictures(bad: Path, tmp_path: Path) -> None:
    assert lim(bad, "--html", tmp_path / "report.html").returncode == 1
    text = (tmp_path / "report.html").read_text()
    page = _Page(text)
    assert page.open == []
    assert page.count["svg"] == 3
    assert page.count["img"] == 4, "the first, the middle, the last, and the bad frame"
    assert page.count["line"] == 3, "the bad frame in each plot"
    assert page.count["li"] == 2
    assert "http" not in text, "it needs nothing from elsewhere"
    assert "frame 6" in text


def test_what_cannot_be_read_is_two(tmp_path: Path) -> None:
    (tmp_path / "broken.usd").write_bytes(b"PXR-USDC and no more")
    for name, words in (("broken.usd", "cannot be read as USD"), ("gone.usd", "no such file")):
        result = lim(tmp_path / name)
        assert result.returncode == 2
        assert words in result.stderr
        assert "Traceback" not in result.stderr


def test_a_page_that_cannot_be_written_is_two(good: Path, tmp_path: Path) -> None:
    result = lim(good, "--html", tmp_path / "none" / "report.html")
    assert result.returncode == 2
    assert "--html" in result.stderr
