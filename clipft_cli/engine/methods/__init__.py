"""The registry of methods: one file each, one contract (`base.Method`)."""

from ...config.methods import MethodName
from .base import Method
from .full import FULL
from .linear_probe import LINEAR_PROBE
from .lora import LORA
from .qlora import QLORA
from .zero_shot import ZERO_SHOT

METHODS: dict[MethodName, Method] = {
    "zero_shot": ZERO_SHOT,
    "linear_probe": LINEAR_PROBE,
    "full": FULL,
    "lora": LORA,
    "qlora": QLORA,
}
