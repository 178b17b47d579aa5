"""The pictures in docs/houdini.md are of the dialog scripts as they are now."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from PIL import Image

DRAW = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "draw_parameters.py"))


@pytest.mark.parametrize("operator", list(DRAW["operators"]()), ids=lambda operator: operator.type_name)
def test_the_picture_is_of_the_script_as_it_is(operator: object) -> None:
    with Image.open(DRAW["picture"](operator)) as image:
        assert image.info["DialogScript"] == DRAW["script_digest"](operator), "python docs/draw_parameters.py"


def test_what_is_drawn_depends_on_the_script() -> None:
    (operator,) = [each for each in DRAW["operators"]() if each.type_name == "lim::track::1.0"]
    drawn = DRAW["draw"](operator)
    assert drawn.height > 1000, "four tabs"
    assert len(drawn.convert("L").getcolors()) > 20
