"""Gather what the later steps need of one camera exposure's per-plate files."""

from pathlib import Path

from bosscal.job import logged
from bosscal.surveyfiles import read_frames


def main(frames, thrucorr, names, plate, mjd, output):
    # The file is empty where the server has none.
    paths = [*frames, *(path for path in thrucorr if Path(path).stat().st_size)]
    read_frames(paths, names[: len(paths)], plate, mjd).write(output)


with logged(snakemake.log[0]):
    plate, mjd = map(int, snakemake.wildcards.plate_mjd.split("-"))
    main(
        snakemake.input.frames,
        snakemake.input.get("thrucorr", []),
        snakemake.params.names,
        plate,
        mjd,
        snakemake.output[0],
    )
