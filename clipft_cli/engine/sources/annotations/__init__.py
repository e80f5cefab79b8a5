"""Files that name images and say what is on each: one file a format, each a `Format`, in one registry."""

from __future__ import annotations

from .coco import COCO
from .cvat import CVAT
from .fiftyone import FIFTYONE
from .format import Format
from .json_map import JSON_MAP
from .json_table import JSON_TABLE
from .label_studio import LABEL_STUDIO
from .path_list import PATH_LIST
from .via import VIA

FORMATS: dict[str, Format] = {
    form.name: form for form in (COCO, LABEL_STUDIO, VIA, FIFTYONE, CVAT, PATH_LIST, JSON_TABLE, JSON_MAP)
}
"""The first whose `evidence` says so reads a file; plain JSON comes last."""
