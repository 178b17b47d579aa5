"""Memory comes back when nobody looks at it any more, and never before."""

from __future__ import annotations

import gc

import numpy as np

from lim_client.buffers import KEPT, Buffers


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_a_buffer_is_used_again_when_its_last_view_is_gone() -> None:
    buffers = Buffers()
    first = buffers.take(1000)
    where = address(first)
    record = first.data
    view = np.frombuffer(record, np.float32)[3:9]
    del first, record
    gc.collect()
    assert address(buffers.take(1000)) != where, "somebody still looks at it"
    del view
    gc.collect()
    assert address(buffers.take(1000)) == where


def test_only_so_much_is_kept() -> None:
    buffers = Buffers()
    many = [buffers.take(KEPT // 4) for _ in range(10)]
    many.clear()
    gc.collect()
    assert len(buffers.free) == 4
    buffers.take(10)
    assert sum(map(len, buffers.free)) <= 10, "another size makes the old ones useless"
