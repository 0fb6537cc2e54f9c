"""Plots as images, drawn by the Vega of ``vl-convert-python``: without a browser, and without the network."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import vl_convert

WIDTH = 720
"""The width of the area of a plot, in pixels."""

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_CONFIG: Mapping[str, Any] = {
    "font": _FONT,
    "background": None,
    "view": {"stroke": None},
    # The font of the reader can be wider than that with which Vega measures.
    "axis": {
        "gridColor": "#e3e6ea",
        "domainColor": "#9aa3af",
        "tickColor": "#9aa3af",
        "labelColor": "#3b4252",
        "labelSeparation": 12,
    },
    "legend": {"labelColor": "#3b4252", "columnPadding": 24},
}


class ImageFormat(StrEnum):
    """The format of an image. Its value is the suffix of the file."""

    SVG = "svg"
    PNG = "png"


def svg(spec: Mapping[str, Any], *, width: int = WIDTH) -> str:
    """Return a plot as SVG.

    :param spec: the specification, which contains its data.
    :param width: the width of the area of the plot, in pixels.
    """
    return vl_convert.vegalite_to_svg(_with_width(spec, width), config=dict(_CONFIG), allowed_base_urls=[])


def image(spec: Mapping[str, Any], image_format: ImageFormat, *, width: int = WIDTH) -> bytes:
    """Return a plot as the content of an image file. The parameters are those of :func:`svg`.

    :param spec: the specification, which contains its data.
    :param width: the width of the area of the plot, in pixels.
    """
    if image_format is ImageFormat.SVG:
        return svg(spec, width=width).encode()
    config = {**_CONFIG, "background": "white"}
    return vl_convert.vegalite_to_png(_with_width(spec, width), scale=2, config=config, allowed_base_urls=[])


def _with_width(spec: Mapping[str, Any], width: int) -> dict[str, Any]:
    return {**spec, "width": width}
