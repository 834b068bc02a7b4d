"""Predict calibration and noise of one camera exposure."""

from bosscal.exposure import CameraExposure
from bosscal.files import write_arrays
from bosscal.job import logged
from bosscal.prediction import predict


def main(exposure_path, mask_allow, law, output):
    arrays = predict(CameraExposure.read(exposure_path), mask_allow, law)
    write_arrays(output, arrays, {"mask_allow": mask_allow, "noise_law": law})


with logged(snakemake.log[0]):
    params = snakemake.params
    main(snakemake.input[0], params.mask_allow, params.noise_law, snakemake.output[0])
