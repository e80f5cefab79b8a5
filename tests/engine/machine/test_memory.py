"""Half as much at a time, as often as the memory runs out."""

from __future__ import annotations

import pytest
import torch

from clipft_cli.engine.machine.memory import halved_until_it_fits
from clipft_cli.errors import ResourceError


def fitting(limit: int, tried: list[int]):
    def work(size: int) -> str:
        tried.append(size)
        if size > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return f"done with {size}"

    return work


@pytest.mark.parametrize(("size", "limit", "sizes"), [(8, 8, [8]), (9, 2, [9, 4, 2]), (5, 1, [5, 2, 1])])
def test_work_is_done_with_the_first_half_that_fits(size, limit, sizes):
    tried: list[int] = []
    assert halved_until_it_fits(fitting(limit, tried), size) == (f"done with {sizes[-1]}", sizes[-1])
    assert tried == sizes


def test_where_not_one_fits_it_is_said():
    tried: list[int] = []
    with pytest.raises(ResourceError, match="not even one image at a time fits"):
        halved_until_it_fits(fitting(0, tried), 6)
    assert tried == [6, 3, 1]


def test_any_other_error_is_left_alone():
    def work(size: int) -> None:
        raise ValueError("another")

    with pytest.raises(ValueError, match="another"):
        halved_until_it_fits(work, 4)
