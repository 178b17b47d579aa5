from __future__ import annotations

import numpy as np

from lim_server.geometry.contacts import Contacts, ties
from tests.lim_server.geometry.things import box, shape, together

ROW = together(box((1, 1, 1), (0, 0, 0)), box((1, 1, 1), (1.02, 0, 0)), box((1, 1, 1), (6, 0, 0)))


def test_near_parts_touch_and_far_ones_do_not() -> None:
    row = shape(ROW)
    contacts = Contacts(row.points, row.part, row.area)
    (contact,) = contacts.near.values()
    assert set(contact.parts) == {row.part[0], row.part[len(ROW.points) // 3]}
    assert abs(contact.gap * np.linalg.norm(np.ptp(ROW.points, axis=0)) - 0.02) < 1e-3
    assert (row.part[contact.pairs[:, 0]] == contact.parts[0]).all()
    assert (row.part[contact.pairs[:, 1]] == contact.parts[1]).all()


def test_the_tree_reaches_every_part() -> None:
    row = shape(ROW)
    tree = Contacts(row.points, row.part, row.area).tree()
    assert len(tree) == 2
    assert {p for contact in tree for p in contact.parts} == set(row.part)


def test_one_part_needs_no_ties() -> None:
    assert ties(shape(together(box((1, 2, 3), (0, 0, 0))))).shape == (0, 2)
