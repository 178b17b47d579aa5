from __future__ import annotations

import numpy as np
import pytest

from lim_server.geometry.coarse import least_torn

MASS = np.array([0.1, 0.5, 0.2, 0.2])
"""Of parts 0 to 3: a trunk, a head, and two limbs on the trunk."""
LINKS = np.array([[0, 1], [0, 2], [3, 0]])


def test_a_tear_weighs_as_much_as_the_smaller_part() -> None:
    assert least_torn(LINKS, np.array([2.0, 0, 0]), np.zeros(3), MASS) == pytest.approx(2.0 * 0.1, abs=1e-5)


def test_a_bend_weighs_as_much_as_what_hangs_on_it() -> None:
    """The trunk turned under head and limbs is as bad as head and limbs turned on the trunk: all three joints bend."""
    assert least_torn(LINKS, np.zeros(3), np.array([1.0, 0, 0]), MASS) == pytest.approx(0.5, abs=1e-5)
    assert least_torn(LINKS, np.zeros(3), np.array([1.0, 1, 1]), MASS) == pytest.approx(0.5 + 0.2 + 0.2, abs=1e-5)


def test_the_link_that_holds_best_decides() -> None:
    links = np.array([[0, 1], [1, 0], [0, 2], [2, 3]])
    assert least_torn(links, np.array([9.0, 1, 0, 0]), np.zeros(4), MASS) == pytest.approx(0.1, abs=1e-5)
    around = np.array([[0, 1], [1, 2], [2, 0]])
    assert least_torn(around, np.array([5.0, 1, 1]), np.zeros(3), MASS) == pytest.approx(0.2 + 0.1, abs=1e-5)


def test_things_that_nothing_links_are_not_torn() -> None:
    none = np.zeros((0, 2), np.int64)
    assert least_torn(none, np.zeros(0), np.zeros(0), MASS) == 0.0
    apart = np.array([[0, 1], [2, 3]])
    assert least_torn(apart, np.array([1.0, 1]), np.zeros(2), MASS) == pytest.approx(0.1 + 0.2, abs=1e-5)
