"""The trackers of experiments that a run can report to, by name; TensorBoard is written by the loop itself."""

from .base import Tracker
from .mlflow import Mlflow
from .trackio import Trackio
from .wandb import Wandb

TRACKERS: dict[str, type[Tracker]] = {tracker.name: tracker for tracker in (Wandb, Mlflow, Trackio)}
