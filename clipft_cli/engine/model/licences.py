"""Under which licence the publishers of pretrained weights gave them, for model cards."""

from __future__ import annotations

_BY_TAG = (
    ("laion", "MIT"),
    ("datacomp_", "MIT"),
    ("commonpool", "MIT"),
    ("frozen_laion", "MIT"),
    ("mscoco_finetuned_laion", "MIT"),
    ("merged2b", "MIT"),
    ("yfcc15m", "MIT"),
    ("cc12m", "MIT"),
    ("openai", "MIT"),
    ("webli", "Apache-2.0"),
    ("metaclip", "CC-BY-NC-4.0, not for commercial use"),
    ("dfn", "Apple's own (apple-amlr), for research"),
    ("datacompdr", "Apple's own (apple-amlr), for research"),
)
"""(how an open_clip tag begins, the licence on the publisher's page)"""

_OWN = {"clipft-tiny": "MIT, as clipft itself"}
UNKNOWN = "not known to clipft: see where the weights came from"


HUB_NAMES = {
    "MIT": "mit",
    "MIT, as clipft itself": "mit",
    "Apache-2.0": "apache-2.0",
    "CC-BY-NC-4.0, not for commercial use": "cc-by-nc-4.0",
    "Apple's own (apple-amlr), for research": "apple-amlr",
}
"""What the hub calls a licence; one that is not known has no name there."""


def licence_of(name: str, pretrained: str | None) -> str:
    """The licence of a base model's weights; UNKNOWN for a file or a tag that is not listed."""
    if name in _OWN:
        return _OWN[name]
    for begins, licence in _BY_TAG:
        if pretrained is not None and pretrained.lower().startswith(begins):
            return licence
    return UNKNOWN
