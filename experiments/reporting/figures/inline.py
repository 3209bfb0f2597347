"""Figures within a page: SVG markup that takes the page's ground and ink, light or dark.

A file of a figure has a white ground and black text, as a paper wants it. Within a page the ground is left out, text
takes the page's colour, and greys are drawn for the colour scheme of the page (CSS ``light-dark()``, CSS Color
Module Level 5). Colours that stand for something, such as an arm, are the same on both grounds.
"""

import re

from markupsafe import Markup
from matplotlib.figure import Figure

from experiments.reporting.figures.files import svg_text

REM_AN_INCH = 6.5
"""Width in a page, where there is room: 9 points of a figure are then 13 pixels."""

_INK_ON_DARK, _GROUND_ON_DARK = 0xE7, 0x18
"""What black and white become on a dark page, as ``--ink`` and ``--paper`` in page.css; other greys lie between."""

_COLOUR = re.compile(r"\b(fill|stroke): (#[0-9a-f]{6})\b")
_GROUND = re.compile(r'<g id="patch_\d+">\s*<path [^>]*style="fill: #ffffff"/>\s*</g>\s*')
"""The white ground of a file, of the figure and of its panels: patches without a line."""

_ID = re.compile(r' id="([^"]*)"')


def inline_svg(figure: Figure, name: str) -> Markup:
    """The figure as an ``<svg>`` element; the same figure gives the same markup.

    Args:
        figure: what to draw.
        name: unlike that of any other figure of the page: ids within the element begin with it.
    """
    text = _GROUND.sub("", svg_text(figure))
    body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href=", "href=")
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    body = _ID.sub(lambda match: f' id="{name}-{match[1]}"' if match[1] in referred else "", body)
    body = body.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    body = _COLOUR.sub(_for_both_grounds, body)
    body = re.sub(r"\s*\n\s*", "\n", body)
    size = re.search(r'viewBox="([^"]*)"', text)
    assert size is not None  # every figure has one
    width = REM_AN_INCH * figure.get_figwidth()
    return Markup(f'<svg viewBox="{size[1]}" style="max-width: {width:g}rem" fill="currentColor">{body}</svg>')


def _for_both_grounds(match: re.Match[str]) -> str:
    """A grey as a pair for light and dark, after the plain one for browsers that do not know pairs."""
    what, colour = match[1], match[2]
    channels = {colour[1:3], colour[3:5], colour[5:7]}
    if len(channels) > 1:
        return match[0]
    grey = int(channels.pop(), 16) / 255
    on_dark = f"{round(_INK_ON_DARK + (_GROUND_ON_DARK - _INK_ON_DARK) * grey):02x}" * 3
    return f"{what}: {colour}; {what}: light-dark({colour}, #{on_dark})"
