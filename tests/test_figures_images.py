"""Figures against reference images in tests/baseline/, without letters, whose shapes differ between font renderers.

Look at what changed before you draw them anew:

    python -m pytest tests/test_figures_images.py --mpl-generate-path=tests/baseline
"""

import pytest
from matplotlib.text import Text
from test_figures_geometry import spectra  # noqa: F401

from bosscal.figures import budget, noise, panels
from bosscal.figures.style import Look, style

# name: (spectrum, look, what draws)
CASES = {
    "six-panels": ("frames", Look(), panels.draw),
    "six-panels-tutorial": ("frames", Look(limits="tutorial"), panels.draw),
    "six-panels-spec": ("spec", Look(), panels.draw),
    "budget": ("frames", Look(), budget.draw),
    "noise-bundle": ("bundle", Look(), noise.draw),
    "panel-electrons-bright": ("bright", Look(), lambda spectrum: panels.draw_panel(spectrum, "electrons")),
}


def drawn(found, name):
    """A figure of the list above without its letters."""
    spectrum, look, draw = CASES[name]
    with style(look):
        figure = draw(found[spectrum])
        for text in figure.findobj(Text):
            text.set_visible(False)
        return figure


def compared(name):
    """A test of one figure; each has a name of its own, which its reference image has too."""

    @pytest.mark.mpl_image_compare(
        filename=f"{name}.png", tolerance=0.5, savefig_kwargs={"dpi": 60, "metadata": {"Software": None}}
    )
    def test(spectra):  # noqa: F811
        return drawn(spectra, name)

    test.__doc__ = f"Protects the looks of {name} from changes that nobody meant."
    return test


test_six_panels = compared("six-panels")
test_six_panels_with_the_tutorials_limits = compared("six-panels-tutorial")
test_six_panels_of_a_spec_file = compared("six-panels-spec")
test_budget = compared("budget")
test_noise_of_the_bundle_law = compared("noise-bundle")
test_electrons_of_a_bright_star = compared("panel-electrons-bright")
