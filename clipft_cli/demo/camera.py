"""From body axes to the picture plane: turn, frame and order the parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .parts import Part


@dataclass(frozen=True)
class Shot:
    """How the dog is framed. Fractions are of the picture's side; `elevation` is in radians."""

    yaw: float
    elevation: float
    is_mirrored: bool
    fill: float
    centre_x: float
    foot_y: float


@dataclass(frozen=True)
class View:
    """Parts on the picture plane: x right, y down, z towards the viewer, all in pixels.

    `ends` is (N, 2, 3) with both ends of every part, `radii` (N, 2); `scale` is pixels per body unit.
    """

    parts: list[Part]
    ends: np.ndarray
    radii: np.ndarray
    scale: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of everything drawn, in pixels."""
        low = (self.ends - self.radii[:, :, None]).reshape(-1, 3).min(0)
        high = (self.ends + self.radii[:, :, None]).reshape(-1, 3).max(0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def project(parts: list[Part], shot: Shot, side_px: int, framed: slice = slice(None)) -> View:
    """See the parts through the shot, in a square picture of `side_px` pixels.

    The parts in `framed` decide the scale and the place: they fill `fill` of the picture.
    """
    body = np.array([[part.a, part.b] for part in parts])  # (N, 2, 3)
    radii = np.array([[part.ra, part.rb] for part in parts])  # (N, 2)
    seen = body @ _view_axes(shot).T
    seen[..., 1] *= -1
    reach = radii[framed, :, None]
    low = (seen[framed] - reach).reshape(-1, 3).min(0)
    high = (seen[framed] + reach).reshape(-1, 3).max(0)
    wide, tall = high[0] - low[0], high[1] - low[1]
    # A tall dog may lose the tips of its ears at the upper edge, not its face.
    scale = side_px * min(shot.fill / max(wide, tall), (shot.foot_y + 0.05) / tall)
    origin = np.array([(low[0] + high[0]) / 2, high[1], 0.0])
    place = np.array([shot.centre_x * side_px, shot.foot_y * side_px, 0.0])
    return View(parts, (seen - origin) * scale + place, radii * scale, float(scale))


def _view_axes(shot: Shot) -> np.ndarray:
    """(3, 3) rows: right, up, towards the viewer. A mirrored shot looks at the same dog in a mirror."""
    c, s = np.cos(shot.yaw), np.sin(shot.yaw)
    # At yaw 0 the viewer stands on the dog's left (+z) and sees it walk to the right.
    turn = np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])
    e, f = np.cos(shot.elevation), np.sin(shot.elevation)
    tilt = np.array([[1.0, 0.0, 0.0], [0.0, e, -f], [0.0, f, e]])
    axes = tilt @ turn
    if shot.is_mirrored:
        axes[0] *= -1
    return axes
