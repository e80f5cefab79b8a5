"""Capsules to pixels: depth, normals and colour of a body, then light on it.

Every part is a tapered capsule seen along its depth axis; parts melt into one another within their
`blend`, and their edges carry analytic coverage, so that no jagged step remains after the final
reduction from the work size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter

from .camera import View
from .coats import Rgb
from .parts import Part

FAR = -1e4
TILE_PX = 512


@dataclass(frozen=True)
class Light:
    """Direction to the light (x right, y down, z to the viewer) and the colours it casts, 1.0 = neutral."""

    direction: tuple[float, float, float]
    sun: tuple[float, float, float]
    sky: tuple[float, float, float]
    rim: float


@dataclass(frozen=True)
class Fur:
    """The coat's texture: strength of its strands, a noise offset, spots and their threshold."""

    strength: float
    offset: tuple[int, int]
    border: float
    spot: tuple[int, int, int] | None = None
    spotted: float = 0.0


class Canvas:
    """Buffers of one body: depth and coverage (S, S), and seven blended layers (7, S, S)."""

    def __init__(self, side_px: int) -> None:
        shape = (side_px, side_px)
        self.z = np.full(shape, FAR, np.float32)
        self.alpha = np.zeros(shape, np.float32)
        self.layers = np.zeros((7, *shape), np.float32)  # nx, ny, gloss, fur, red, green, blue


@lru_cache(maxsize=1)
def noise_tiles() -> tuple[np.ndarray, np.ndarray]:
    """Two periodic noises in about [-1, 1], (TILE_PX, TILE_PX) float32: soft blotches and short strands."""
    rng = np.random.default_rng(20)
    white = np.fft.rfft2(rng.standard_normal((TILE_PX, TILE_PX)))
    fy = np.fft.fftfreq(TILE_PX)[:, None] * TILE_PX
    fx = np.fft.rfftfreq(TILE_PX)[None, :] * TILE_PX
    soft = np.fft.irfft2(white * np.exp(-(fx**2 + fy**2) / (2 * 22.0**2)))
    strands = np.fft.irfft2(white * np.exp(-(fx**2) / (2 * 75.0**2) - fy**2 / (2 * 26.0**2)))
    return (soft / (2 * soft.std())).astype(np.float32), (strands / (2 * strands.std())).astype(np.float32)


def paint(canvas: Canvas, view: View, fur: Fur) -> None:
    """Add every part of the view to the canvas."""
    for part, ends, radii in zip(view.parts, view.ends, view.radii, strict=True):
        _paint_part(canvas, part, fur, ends=ends, radii=radii, scale=view.scale)


def _paint_part(canvas: Canvas, part: Part, fur: Fur, *, ends: np.ndarray, radii: np.ndarray, scale: float) -> None:
    window = _window(ends, radii, len(canvas.z))
    if window is None:
        return
    rows, cols = window
    soft, strands = _noise(fur, window)
    (ax, ay, az), (bx, by, bz) = ends.astype(np.float32)
    dx, dy = bx - ax, by - ay
    length2 = max(float(dx * dx + dy * dy), 1e-4)
    px = np.arange(cols.start, cols.stop, dtype=np.float32)[None, :] - ax
    py = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - ay
    along = np.clip(px * (dx / length2) + py * (dy / length2), 0.0, 1.0)
    off_x, off_y = px - dx * along, py - dy * along
    radius = radii[0] + (radii[1] - radii[0]) * along
    if part.fur > 0:
        # The outline of a fluffy part is ragged: strands push it in and out.
        radius = np.add(radius, np.float32(part.fur * fur.strength * 0.036 * scale) * strands)
    inside = radius * radius - off_x * off_x - off_y * off_y
    height = np.sqrt(np.maximum(inside, 0.0))
    coverage = np.clip(inside / (2.0 * np.maximum(radius, 0.5)) + 0.5, 0.0, 1.0)
    depth = az + (bz - az) * along + part.flat * height
    old = canvas.z[window]
    weight = np.clip(0.5 + (depth - old) / max(part.blend * scale * 1.4, 1.2), 0.0, 1.0)
    # The first part on a pixel lends it its full colour: coverage then only thins the alpha.
    weight *= np.where(old > FAR / 2, coverage, coverage > 0.0)
    colours = _colours(part, off_y / radius, along, soft, fur.border)
    for layer, value in zip(
        canvas.layers, (off_x / radius, off_y / radius, part.gloss, part.fur, *colours), strict=True
    ):
        seen = layer[window]
        seen += weight * (value - seen)
    np.maximum(old, depth, out=old, where=coverage > 0.4)
    np.maximum(canvas.alpha[window], coverage, out=canvas.alpha[window])


def _window(ends: np.ndarray, radii: np.ndarray, side_px: int) -> tuple[slice, slice] | None:
    """Rows and columns the part can touch, None when it lies outside the picture."""
    reach = radii[:, None] * 1.12 + 1.5
    low = np.floor((ends[:, :2] - reach).min(0)).astype(int).clip(0, side_px)
    high = np.ceil((ends[:, :2] + reach).max(0)).astype(int).clip(0, side_px)
    if (low >= high).any():
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _noise(fur: Fur, window: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = window
    shifted = (
        slice(rows.start + fur.offset[0], rows.stop + fur.offset[0]),
        slice(cols.start + fur.offset[1], cols.stop + fur.offset[1]),
    )
    soft, strands = noise_tiles()
    return soft[shifted], strands[shifted]


def _colours(
    part: Part, ny: np.ndarray, along: np.ndarray, soft: np.ndarray, border: float
) -> Sequence[np.ndarray | float]:
    """Red, green and blue of one part: numbers where it has one colour, (h, w) where it has markings."""
    marked: list[tuple[np.ndarray, Rgb]] = []
    if part.top is not None:
        marked.append((border - 0.10 - ny - 0.35 * soft, part.top))
    if part.under is not None:
        marked.append((border - 0.35 + ny + 0.35 * soft, part.under))
    if part.tip is not None:
        marked.append((along - 0.62 + 0.15 * soft, part.tip))
    colours: list[np.ndarray | float] = [float(channel) for channel in part.colour]
    for inside, mark in marked:
        share = np.clip(inside * 5.0, 0.0, 1.0)
        colours = [colour + share * (goal - colour) for colour, goal in zip(colours, mark, strict=True)]
    return colours


def shade(canvas: Canvas, light: Light, fur: Fur) -> np.ndarray:
    """The lit body, (S, S, 3) float32 in 0 to 255; `canvas.alpha` says where it is."""
    window = (slice(0, len(canvas.z)), slice(0, len(canvas.z)))
    soft, strands = _noise(fur, window)
    nx, ny, gloss, wears, *colours = canvas.layers
    nz = np.sqrt(np.maximum(1.0 - nx * nx - ny * ny, 0.02))
    lx, ly, lz = light.direction
    facing = nx * lx + ny * ly + nz * lz
    texture = strands * wears * (0.16 + 0.5 * fur.strength)
    occluded = _occlusion(canvas)
    from_above = 0.5 - 0.5 * ny
    lit = np.clip(0.55 + 0.46 * facing + 0.16 * texture, 0.0, 1.12) * occluded * 0.84
    ambient = 0.22 * from_above * occluded
    rim = light.rim * np.clip(1.0 - nz, 0.0, 1.0) ** 3 * from_above * 90.0
    bright = rim + gloss * np.clip(facing, 0.0, 1.0) ** 14 * 150.0
    spots = np.clip((soft - 1.0 + fur.spotted) * 9.0, 0.0, 1.0) * (wears > 0.7) if fur.spot else None
    picture = np.empty((*nx.shape, 3), np.float32)
    for channel, colour in enumerate(colours):
        coat: np.ndarray = colour
        if spots is not None and fur.spot is not None:
            coat = colour + spots * (fur.spot[channel] - colour)
        picture[..., channel] = (
            coat * (lit * light.sun[channel] + ambient * light.sky[channel]) + bright * light.sun[channel]
        )
    return np.clip(picture, 0.0, 255.0)


def _occlusion(canvas: Canvas) -> np.ndarray:
    """(S, S) in 0.6 to 1: darker where the neighbourhood stands nearer to the viewer than the point."""
    side_px = len(canvas.z)
    covered = canvas.z > FAR / 2
    if not covered.any():
        return np.ones_like(canvas.z)
    small = np.where(covered, canvas.z, canvas.z[covered].min())[::3, ::3]
    blurred = Image.fromarray(small).resize((side_px // 12, side_px // 12), Image.Resampling.BOX)
    raised = np.asarray(blurred.resize((len(small), len(small)), Image.Resampling.BICUBIC)) - small
    dark = np.clip(raised / (0.16 * side_px), -0.25, 0.45)
    shade_map = Image.fromarray((1.0 - 0.8 * dark).astype(np.float32) * 200).convert("L")
    smooth = shade_map.filter(ImageFilter.BoxBlur(1)).resize((side_px, side_px), Image.Resampling.BILINEAR)
    return np.asarray(smooth, np.float32) / 200.0
