#!/usr/bin/python3
"""Draws what a terminal showed: coloured text on stdin, SVG on stdout.

    docs/draw_terminal.py COLUMNS DESCRIPTION <text >picture.svg

Needs Debian's python3-rich (PyPI: rich).
"""

import io
import sys
from html import escape

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

# The colours of docs/speed.svg and docs/idle.svg, lighter, on the dark grey of a terminal; black,
# red, green, yellow, blue, magenta, cyan, white. The contrast of each is 4.5 : 1 or more.
THEME = TerminalTheme(
    (30, 34, 40),
    (215, 220, 226),
    [(139, 148, 158), (255, 123, 114), (86, 211, 100), (227, 179, 65)]
    + [(121, 192, 255), (210, 168, 255), (118, 227, 234), (215, 220, 226)],
)

# rich's own picture, without the window around it and without its font, which a page would fetch from
# another server. Every run of text has its length, so that columns stay columns in any font.
PICTURE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" \
role="img" aria-labelledby="title">
<title id="title">DESCRIPTION</title>
<style>
.{unique_id}-matrix {{
font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
font-size: {char_height}px;
white-space: pre;
}}
{styles}
</style>
<defs>
{lines}
</defs>
<rect width="100%" height="100%" rx="8" fill="#1e2228"/>
<g transform="translate(9, 22)" class="{unique_id}-matrix" xml:space="preserve">
{backgrounds}
{matrix}
</g>
</svg>
"""

# Width to height of a character of the fonts above.
ASPECT = 0.6

columns, description = int(sys.argv[1]), sys.argv[2]
console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
console.print(Text.from_ansi(sys.stdin.read()))
picture = PICTURE.replace("DESCRIPTION", escape(description))
print(
    console.export_svg(
        theme=THEME, code_format=picture, unique_id="terminal", font_aspect_ratio=ASPECT
    ),
    end="",
)
