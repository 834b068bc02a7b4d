"""Embedded simulated plates in the survey's own format, for tests and for a first run without a network.

They stand in for what cannot be shipped: the plate that the tutorial shows (6641-56383), two exposures, four
cameras, 500 fibers each, under ``sas/sim`` where no real file ever lies. Its curves are those of the real plate's
published figures (``docs/simulation.md``). Any other plate on any night is made in the same way from its two numbers
and the seed, with fibers, exposures and conditions of its own, and the list of plates has 2500 rows. Frames are built
forward, from true flux to recorded electrons, and calibrated by a second writing of the pipeline that shares no code
with the model. Every primary header says SIMULATD = T.

One seed gives the same bytes on every processor: what is written comes from sums, products, roots and the functions
in ``bosscal.base.elementary``, never from a matrix product or numpy's own exponentials and logarithms.

==================== =============================================================================
module               what it knows
==================== =============================================================================
``plate``            plates, fibers, exposures and their conditions, where every file lies, streams of random numbers
``spectra``          true spectra of objects and sky
``instrument``       trace sets, flats, throughput, flux corrections, distortion
``extraction``       electrons of pixels, and what DR12's extraction makes of them
``observing``        flux to electrons, noise, masks; :func:`truth`
``reduction``        electrons to flux: the pipeline's arithmetic, a second time
``fits_format``      headers, tables, FITS writing
``frame_files``      the files of the plate's folder
``spectrum_files``   spec files and the list of plates
==================== =============================================================================
"""

from bosscal.simulation.frame_files import simulate_camera_exposure, write_flat, write_fluxdistort, write_sha1sum
from bosscal.simulation.observing import Truth, truth
from bosscal.simulation.plate import (
    CAMERAS,
    EXPOSURES,
    MJD,
    PLATE,
    RUN2D,
    TUTORIAL,
    Plate,
    camera_exposure_paths,
    camera_pair,
    flat_path,
    fluxdistort_path,
    plate_of_exposure,
    platelist_path,
    plug_fibers,
    sha1sum_path,
    spec_path,
)
from bosscal.simulation.spectrum_files import listed_plates, write_platelist, write_spec, write_spec_lite

__all__ = [
    "CAMERAS", "EXPOSURES", "MJD", "PLATE", "RUN2D", "TUTORIAL", "Plate", "Truth", "camera_exposure_paths",
    "camera_pair", "flat_path", "fluxdistort_path", "listed_plates", "plate_of_exposure", "platelist_path",
    "plug_fibers", "sha1sum_path", "simulate_camera_exposure", "spec_path", "truth", "write_flat", "write_fluxdistort",
    "write_platelist", "write_sha1sum", "write_spec", "write_spec_lite",
]  # fmt: skip
