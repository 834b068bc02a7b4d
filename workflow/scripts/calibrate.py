"""Predict calibration and noise of one camera exposure."""

import numpy as np

from bosscal.exposure import CameraExposure
from bosscal.files import write_arrays
from bosscal.job import logged
from bosscal.tutorial import reconstruct

# The comparison is about the difference of these two, far below their float32 rounding.
FLOAT64 = ("calib_applied", "calib_predicted")


def main(exposure_path, mask_allow, output):
    exposure = CameraExposure.read(exposure_path)
    arrays = reconstruct(exposure, mask_allow)
    stored = {
        name: array if array.dtype == bool or name in FLOAT64 else array.astype(np.float32)
        for name, array in arrays.items()
    }
    write_arrays(output, stored, {"mask_allow": mask_allow})


with logged(snakemake.log[0]):
    main(snakemake.input[0], snakemake.params.mask_allow, snakemake.output[0])
