"""The figures that a run makes, one entry each: rules, captions, report and tests follow from this list.

To add one: a module here with ``draw``, an entry below, and a caption of the same name in ``workflow/report/``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of figure.

    Attributes
    ----------
    module : str
        Module of this package whose ``draw`` makes it, and name of its caption in ``workflow/report/``.
    suffix : str
        What its files have behind the name of what they show.
    words : str
        What it is, for headings and alternative texts.
    products : tuple of str
        Products that it can be made from.
    """

    module: str
    suffix: str
    words: str
    products: tuple[str, ...]


# Of single spectra: ``draw(spectrum)``, with bosscal.results.spectrum.Spectrum.
OF_SPECTRA = (
    Kind("panels", "", "Six panels", ("frames", "spec")),
    Kind("budget", "-budget", "Error budget", ("frames",)),
    Kind("noise", "-noise", "Noise", ("frames", "spec")),
)
# Of camera exposures of whole plates: ``draw(exposure, prediction, table)``.
OF_EXPOSURES = (
    Kind("residuals", "-residuals", "Residuals", ("frames",)),
    Kind("ratios", "-ratios", "Variance ratios", ("frames",)),
)
# Of whole plates: ``draw(tables)``, with the tables of all camera exposures.
OF_PLATES = (Kind("overview", "-overview", "All camera exposures", ("frames",)),)
# Of spectra that a run has in two releases: ``draw(pairs)``, with bosscal.results.releases.Pair.
OF_RELEASES = (Kind("releases", "-releases", "Two releases", ("spec",)),)
# Of full spec files: ``draw(rebuilt, repeats)``.
OF_COADDS = (Kind("coadds", "-coadd", "Distortion, coadd and repeats", ("spec",)),)
# Of plates many of whose spec files were read: ``draw(plate)``, with bosscal.results.coadds.PlateOfSpectra.
OF_FOCAL_PLANES = (Kind("focalplane", "-distortion", "Distortion of the plate", ("spec",)),)
# Of all spec files of a run: ``draw(table)``, with the correction of ivar; the name of the file.
OF_RUNS = (Kind("eta", "ivar_correction", "Correction of ivar from repeated exposures", ("spec",)),)

# Of the six panels each can be had alone, by its name: ``…-panel-flux.pdf``.
PANELS = {
    "flux": "Flux and its variance",
    "electrons": "Detected electrons and their variance",
    "flats": "Flat fields",
    "calibration": "Calibration and its components",
    "noise": "Rms in excess of shot noise",
    "variance": "Predicted against actual variance",
}
PANEL_INFIX = "-panel-"  # between what a single panel shows and its name


def of_spectra(products: str) -> tuple[Kind, ...]:
    """The kinds of figures that a spectrum from these products has."""
    return tuple(kind for kind in OF_SPECTRA if products in kind.products)
