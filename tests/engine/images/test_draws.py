"""Random numbers that are a function of their key alone."""

from __future__ import annotations

import numpy as np

from clipft_cli.engine.images.draws import Draws


def test_the_numbers_are_those_of_splitmix64():
    draws = Draws()
    # first outputs for seed 0, as in the reference implementation by Vigna
    for expected in (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F):
        assert draws.random() == (expected >> 11) * 2.0**-53


def test_every_part_of_the_key_matters_and_nothing_else():
    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (2**32 - 1, 0, 0)]
    firsts = [Draws(*key).random() for key in keys]
    assert len(set(firsts)) == len(keys)
    assert firsts == [Draws(*key).random() for key in keys]


def test_neighbouring_keys_give_even_and_independent_numbers():
    pairs = np.array([(d.random(), d.random()) for d in (Draws(0, 3, index) for index in range(4000))])
    counts = np.histogram2d(*pairs.T, bins=4, range=((0, 1), (0, 1)))[0]
    assert np.abs(counts - 250).max() < 75  # 4.9 standard deviations
    assert abs(np.corrcoef(pairs[:-1, 0], pairs[1:, 0])[0, 1]) < 0.07


def test_whole_numbers_stay_below():
    draws = Draws(5)
    drawn = [draws.below(3) for _ in range(300)]
    assert set(drawn) == {0, 1, 2}
    assert all(2 <= draws.uniform(2, 5) < 5 for _ in range(100))
