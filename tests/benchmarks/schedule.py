"""The reference's progressive schedule: the head, then the last block too, then everything.

Of its 20 epochs six are run, the first two of each stage, and the others are counted as the stage's second one:
what a stage does once (a cache that is filled, buffers that are made) happens in its first.
"""

from __future__ import annotations

BATCH_SIZE = 16
ACCUMULATION = 2
EPOCHS = 20
WARMUP_RATIO = 0.1
STAGES = ((0, "classifier"), (2, "last block"), (6, "all"))
EPOCHS_RUN = (0, 1, 2, 3, 6, 7)
WEIGHTS = (1, 1, 1, 3, 1, 13)
"""How many of the 20 epochs each of those that are run stands for."""
