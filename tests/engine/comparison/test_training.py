"""What is trained for a comparison, and what is said of how long it takes."""

from __future__ import annotations

from clipft_cli.engine.comparison.training import say_forecast


def test_a_forecast_that_was_far_off_is_owned_up_to_once():
    told = []
    for expected, took in ((100.0, 150.0), (1.0, 9.0), (100.0, 260.0), (100.0, 40.0)):
        say_forecast(expected, took, told.append)
    assert [note.text for note in told] == [
        "training took 4.3 min; 1.7 min had been expected",
        "training took 40 s; 1.7 min had been expected",
    ]
