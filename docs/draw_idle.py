#!/usr/bin/python3
"""Draws idle.svg: what happens to an idle connection without and with keepalive.

    docs/draw_idle.py >docs/idle.svg                     after a change of this file
    docs/draw_idle.py | cmp - docs/idle.svg              what CI checks

Time runs downwards, for KEEPIDLE=180 and a firewall that forgets after 30 minutes. The picture has
its own white background, so that it is legible on a dark page too.
"""

WIDTH, HEIGHT = 760, 626
TOP, MINUTE = 112, 10  # where time begins, and the height of a minute
END = 46
FORGETS, REQUEST, KEEPIDLE = 30, 41.9, 3
GREEN, RED, GREY, DARK = "#1b7f4b", "#b3261e", "#5f6b78", "#1f2328"

lines = []


def at(minute):
    """The height at which something happens."""
    return TOP + MINUTE * minute


def text(x, y, words, colour=DARK, anchor="middle", style=""):
    lines.append(f'<text x="{x}" y="{y:g}" fill="{colour}" text-anchor="{anchor}"{style}>{words}</text>')


def line(x1, y1, x2, y2, colour, width=1.5, style=""):
    lines.append(
        f'<line x1="{x1}" y1="{y1:g}" x2="{x2}" y2="{y2:g}" stroke="{colour}" '
        f'stroke-width="{width}"{style}/>'
    )


def arrow(x1, minute, x2, colour, takes=1.0):
    """A segment, which arrives a little later."""
    line(x1, at(minute), x2, at(minute + takes), colour, 1.5, f' marker-end="url(#{colour[1:]})"')


def life(x, begin, end, colour, width=6, dashes=""):
    style = f' stroke-dasharray="{dashes}"' if dashes else ""
    line(x, at(begin), x, at(end), colour, width, style)


def half(left, title, subtitle):
    """Writes the names above the lifelines of one half; returns where these are."""
    client, firewall, server = left + 48, left + 166, left + 284
    text(firewall, 28, title, style=' font-weight="bold" font-size="16"')
    text(firewall, 50, subtitle, GREY)
    for x, name in ((client, "client"), (firewall, "firewall"), (server, "server")):
        text(x, TOP - 22, name, style=' font-weight="bold"')
    return client, firewall, server


def without_keepalive(left):
    client, firewall, server = half(left, "Without keepalive", "nothing to say, nothing sent")
    life(firewall, 0, FORGETS, GREEN)
    life(firewall, FORGETS, END, GREY, 2, "2 5")
    life(client, 0, REQUEST, GREEN)
    life(client, REQUEST, END, RED)
    life(server, 0, FORGETS, GREEN)
    life(server, FORGETS, END, RED)
    established(client, firewall, server)
    text((client + firewall) / 2, at(FORGETS / 2) + 5, "idle", GREY)
    text((firewall + server) / 2, at(FORGETS / 2) + 5, "idle", GREY)
    text((firewall + server) / 2, at(FORGETS) + 22, "forgets the", RED)
    text((firewall + server) / 2, at(FORGETS) + 39, "connection", RED)
    # The kernel sends it again and again, at growing intervals.
    for minute in (REQUEST, REQUEST + 1, REQUEST + 3):
        arrow(client + 5, minute, firewall - 8, RED, 0.5)
        lines.append(
            f'<path d="M{firewall - 4} {at(minute + 0.5) - 4:g}l8 8m0 -8l-8 8" stroke="{RED}" stroke-width="2"/>'
        )
    text((client + firewall) / 2, at(REQUEST) - 2, "request", RED)
    text((firewall + server) / 2, at(REQUEST + 1), "dropped", RED)
    outcome(client, ["hangs"], RED)
    outcome(firewall, ["has forgotten"], RED)
    outcome(server, ["dead socket,", "ESTABLISHED"], RED)


def with_keepalive(left):
    client, firewall, server = half(left, "With keepalive", "KEEPIDLE=180: a probe every 3 min")
    for x in (client, firewall, server):
        life(x, 0, END, GREEN)
    established(client, firewall, server)
    for minute in range(KEEPIDLE, int(REQUEST), KEEPIDLE):
        exchange(client, firewall, server, minute, GREY)
    text((client + firewall) / 2, at(KEEPIDLE) - 5, "probe", GREY)
    text((firewall + server) / 2, at(KEEPIDLE) - 5, "answer", GREY)
    exchange(client, firewall, server, REQUEST, GREEN)
    text((client + firewall) / 2, at(REQUEST) - 2, "request", GREEN)
    text((firewall + server) / 2, at(REQUEST) - 2, "response", GREEN)
    outcome(client, ["answered"], GREEN)
    outcome(firewall, ["still knows"], GREEN)
    outcome(server, ["serves"], GREEN)


def established(client, firewall, server):
    line(client, at(0), server, at(0), GREEN, 2)
    text((client + firewall) / 2, at(0) - 6, "connects", GREEN)


def exchange(client, firewall, server, minute, colour):
    arrow(client + 5, minute, server - 5, colour, 0.6)
    arrow(server - 5, minute + 0.8, client + 5, colour, 0.6)


def outcome(x, words, colour):
    for number, line_of_words in enumerate(words):
        text(x, at(END) + 20 + 17 * number, line_of_words, colour, style=' font-weight="bold"')


def marker(colour):
    lines.append(
        f'<marker id="{colour[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" '
        f'markerHeight="6" orient="auto"><path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
    )


lines.append(
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
    'aria-labelledby="title desc" font-family="sans-serif" font-size="14">'
)
lines.append('<title id="title">An idle connection through a firewall, without and with keepalive</title>')
lines.append(
    '<desc id="desc">Client, firewall and server, over three quarters of an hour. Without keepalive nothing is sent, '
    "so the firewall forgets the connection after 30 minutes; a request of the client's in minute 42 "
    "is dropped and the client hangs, while the server keeps a dead socket in state ESTABLISHED. With "
    "keepalive a probe is sent and answered every 180 seconds, so the firewall still knows the "
    "connection, and the request in minute 42 is answered.</desc>"
)
lines.append('<rect width="100%" height="100%" fill="white"/>')
lines.append("<defs>")
for colour in (GREEN, RED, GREY):
    marker(colour)
lines.append("</defs>")
for minute in range(0, END, 10):
    line(62, at(minute), WIDTH - 12, at(minute), "#d8dee4", 1)
    text(56, at(minute) + 5, f"{minute} min", GREY, "end")
without_keepalive(52)
with_keepalive(418)
lines.append("</svg>")
print("\n".join(lines))
