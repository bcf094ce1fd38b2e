# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages of experiments: gnuplot's pictures as inline SVG, tables, a style."""

import html
import subprocess

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; color: #222; }
h1, h2 { line-height: 1.2; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1.5rem 0; }
figcaption { color: #555; }
svg { max-width: 100%; height: auto; }
"""

SETTINGS = """
set terminal svg size 900,500 dynamic font 'sans-serif,14' background '#ffffff'
set encoding utf8
set grid lc rgb '#dddddd'
set key top left
set border 3
set tics nomirror
"""

# legible to all, in print too
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


POINTS_AND_LINES = "with linespoints lw 2 pt 7 ps 0.6"
LINES = "with lines lw 2"
POINTS = "with points pt 7 ps 0.4"


def svg(commands, series, style=POINTS_AND_LINES):
    """The picture that gnuplot draws of {title: [(x, y), ...]}.

    commands are its settings; style is how each series is drawn.
    """
    blocks, plots = [], []
    for i, (title, points) in enumerate(series.items()):
        rows = "\n".join("%r %r" % point for point in points)
        blocks.append("$d%d << EOD\n%s\nEOD\n" % (i, rows))
        plots.append("$d%d using 1:2 %s lc rgb '%s' title '%s'"
                     % (i, style, COLOURS[i % len(COLOURS)], title))
    return draw(commands + "\n" + "".join(blocks), plots)


def bars(commands, rows, columns):
    """Stacked bars: rows of (title, numbers), a number for each of columns."""
    lines = ['"%s" %s' % (title, " ".join("%r" % n for n in numbers)) for title, numbers in rows]
    plots = ["$d using %d:xtic(1) lc rgb '%s' title '%s'"
             % (i + 2, COLOURS[i % len(COLOURS)], column) for i, column in enumerate(columns)]
    return draw("set style data histograms\nset style histogram rowstacked\n"
                "set style fill solid 0.9\nset boxwidth 0.6\n" + commands
                + "\n$d << EOD\n%s\nEOD\n" % "\n".join(lines), plots)


def draw(commands, plots):
    """The picture of gnuplot's commands and what it then plots."""
    script = SETTINGS + commands + "plot " + ", ".join(plots) + "\n"
    text = subprocess.run(["gnuplot"], input=script, stdout=subprocess.PIPE, check=True,
                          text=True).stdout
    return text[text.index("<svg"):]


def figure(picture, caption):
    """A picture with its caption."""
    return "<figure>%s<figcaption>%s</figcaption></figure>" % (picture, html.escape(caption))


def table(head, rows):
    """Rows of texts under a head."""
    cells = ["<tr>" + "".join("<th>%s</th>" % html.escape(c) for c in head) + "</tr>"]
    cells += ["<tr>" + "".join("<td>%s</td>" % html.escape(c) for c in row) + "</tr>"
              for row in rows]
    return "<table>" + "".join(cells) + "</table>"


def page(title, parts):
    """A page of its own: nothing is fetched from elsewhere."""
    return ("<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>%s</title>"
            "<style>%s</style></head><body><h1>%s</h1>%s</body></html>\n"
            % (html.escape(title), STYLE, html.escape(title), "\n".join(parts)))
