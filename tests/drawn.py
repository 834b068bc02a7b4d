"""What a figure shows, for tests that look at it."""

from matplotlib.axis import Axis
from matplotlib.text import Text


def drawn_texts(figure):
    """All texts that a figure shows, as matplotlib artists; ticks beyond their axis are not among them."""
    figure.draw_without_rendering()
    beyond = set()
    for axis in figure.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        beyond |= {
            label
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
            if not low <= tick.get_loc() <= high
            for label in (tick.label1, tick.label2)
        }
    return [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in beyond
    ]  # fmt: skip
