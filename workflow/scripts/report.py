"""Write the report: pages that need no network."""

import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from bosscal.base.errors import made_with
from bosscal.base.log import amount, logger, run_step
from bosscal.base.outcomes import Failure, read_outcome, sort_out, unique
from bosscal.base.provenance import commit_of, library_versions
from bosscal.base.tables import read_table
from bosscal.figures import kinds
from bosscal.report.chain import chain_of, rule_of
from bosscal.report.docs import read_documents
from bosscal.report.pages import PAGES, Content, Image, Run, write_pages
from bosscal.report.statuses import read_thresholds
from bosscal.results.comparison import header_of, stack
from bosscal.results.measured import Frames, measured
from bosscal.results.spectrum import spectrum_of
from bosscal.survey.exposure import CameraExposure
from bosscal.survey.inputs import INPUTS, read_record
from bosscal.survey.targets import Block, single_spectra


def by_name(paths):
    """Files by release and name without suffix, which is how targets and plates call them."""
    return {f"{Path(path).parent.name}/{Path(path).stem}": path for path in paths}


def images_of(target, files, others):
    """Figures of a target, with those of all its exposures."""
    wanted = [(kind, target.key) for kind in kinds.of_spectra(target.products)]
    if target.products == "spec":
        whole = f"{target.folder}-{target.fiber:04d}"
        wanted += [(kind, whole) for kind in (*kinds.OF_COADDS, *kinds.OF_RELEASES)]
        wanted += [(kind, target.folder) for kind in kinds.OF_FOCAL_PLANES]
    found = files | others
    images = [
        Image(f"{kind.words} of {name}", found[f"{name}{kind.suffix}"])
        for kind, name in wanted
        if f"{name}{kind.suffix}" in found
    ]
    for kind in kinds.OF_RUNS if target.products == "spec" else ():
        images += [Image(kind.words, path) for name, path in others.items() if name.endswith(kind.suffix)]
    return images


def plates_of(files):
    """Figures of whole plates, by release/plate-mjd."""
    plates = {}
    for name, path in files.items():
        plates.setdefault("-".join(name.split("-")[:2]), []).append(Image(f"Plate and camera exposure {name}", path))
    return plates


def headers_of(comparisons, spec_exposures):
    """Headers of the camera exposures: of frames by their tables, of spec files with the table that they lie beside."""
    yield from (header_of(path) for path in comparisons if path not in spec_exposures.values())
    for path, record in spec_exposures.items():
        with made_with(record):
            yield CameraExposure.read(path).header


def costs_of(comparisons, targets):
    """Failures to the targets that they cost."""
    costs = {}
    tables = {"/".join(Path(path).with_suffix("").parts[-3:]): read_outcome(path) for path in comparisons}
    for target in targets:
        for failure in tables[f"{target.folder}/{target.table}"]:
            costs.setdefault(failure, []).append(target.key)
    return costs


def in_table(targets, summary):
    """The targets that the summary has a row of."""
    names = ("release", "plate", "mjd", "fiber", "camera", "expnum")
    rows = set(zip(*(summary[name].tolist() for name in names), strict=True))
    return [target for target in targets if tuple(getattr(target, name) for name in names) in rows]


def records_of(headers, simulated):
    """How each input came to the mirror, by release and server path; the simulated plate is on no server."""
    inputs = {(header.release, name) for header in headers for name, _ in header.inputs}
    records = {(release, name): read_record(INPUTS / release / name.lstrip("/")) for release, name in inputs}
    return {
        (release, name): replace(record, server="the simulated plate") if record and release in simulated else record
        for (release, name), record in records.items()
    }


def benchmarks(folder=Path("results/benchmarks")):
    """(rule, jobs, seconds, largest memory [MB]) of the jobs on record, read last and no input: they rerun nothing."""
    facts = {}
    for path in sorted(folder.rglob("*.tsv")):
        lines = path.read_text(encoding="utf-8").splitlines()[:2]
        if len(lines) == 2:  # that of this job is empty so far
            fact = dict(zip(*(line.split("\t") for line in lines), strict=False))
            facts.setdefault(rule_of(path.relative_to(folder)), []).append(fact)
    return [
        (
            rule,
            len(of_rule),
            sum(_number(fact.get("s")) for fact in of_rule),
            max(_number(fact.get("max_rss")) for fact in of_rule),
        )
        for rule, of_rule in sorted(facts.items())
    ]


def _number(text):
    """A number of a benchmark; 0 for what was too short to be measured."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return 0.0


class Spectra:
    """The targets' spectra and focal positions, from their camera exposures.

    ``frames`` tells how to make these in memory, by folder and unit, where no npz is kept.
    """

    def __init__(self, frames):
        self._frames = frames
        self._unit, self._of_unit = None, None  # pages come by camera exposure
        self._positions = {}

    def spectrum(self, target):
        return spectrum_of(*self._read(target.folder, target.unit), target)

    def focal_positions(self, target):
        """The same in all exposures of a spectrograph, so that one is read."""
        key = target.folder, target.camera[1]
        if key not in self._positions:
            exposure, _ = self._read(target.folder, target.unit)
            places = zip(exposure.xfocal.tolist(), exposure.yfocal.tolist(), strict=True)
            self._positions[key] = dict(zip(exposure.fiber.tolist(), places, strict=True))
        return self._positions[key]

    def _read(self, folder, unit):
        if self._unit != (folder, unit):
            self._unit, self._of_unit = None, None  # before the next is there too
            self._of_unit = self._measured(folder, unit)
            self._unit = folder, unit
        return self._of_unit

    def _measured(self, folder, unit):
        if f"{folder}/{unit}" not in self._frames:
            return measured([f"results/{step}/{folder}/{unit}.npz" for step in ("extract_frame", "calibrate")])
        frames = Frames(**self._frames[f"{folder}/{unit}"])
        return measured([f"{INPUTS}/{frames.release}{name}" for name in frames.names], frames)


def main(run, targets, files, frames, spec_exposures, failures, simulated, bits, output):
    """Write the pages from what there is of tables, figures and camera exposures; returns why the rest is missing."""
    made = {}
    for name, paths in files.items():
        made[name], of_step = sort_out(paths)
        failures = unique([*failures, *of_step])
    spec_exposures = {path: record for path, record in spec_exposures.items() if not read_outcome(record)}
    logger.info("read %s", ", ".join(path for paths in [*made.values(), spec_exposures] for path in paths))
    costs = costs_of(files["comparisons"], targets)
    summary = read_table(made["summary"][0]) if made["summary"] else None
    targets = in_table(targets, summary) if summary is not None else []
    figures, releases = by_name(made["figures"]), by_name(made["releases"])
    headers = list(headers_of(made["comparisons"], spec_exposures))
    spectra = Spectra(frames)
    content = Content(
        run=Run(
            **run,
            summary=files["summary"][0],
            version=version("bosscal"),
            commit=commit_of(Path(__file__).parent),
            versions=library_versions(),
            written=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        ),
        targets=targets,
        summary=summary,
        budget=stack([read_table(path) for path in made["budget"]]) if made["budget"] else None,
        coadds=read_table(made["coadds"][0]) if made["coadds"] else None,
        outliers=stack([read_table(path) for path in made["outliers"]]) if made["outliers"] else None,
        images={target.key: images_of(target, figures, releases) for target in targets if not target.whole_plate}
        | plates_of(by_name(made["plates"])),
        headers=headers,
        records=records_of(headers, simulated),
        failures={failure: costs.get(failure, []) for failure in failures},
        thresholds=read_thresholds(),
        spectrum_of=spectra.spectrum,
        focal_positions=spectra.focal_positions,
        bits=bits,
        benchmarks=benchmarks(),
        chain=chain_of(Path("results/logs"), [path for paths in files.values() for path in paths]),
        documents=read_documents(Path(__file__).parents[2] / "docs"),
    )
    number = write_pages(content, Path(output))
    logger.info("%d targets, %d pages", len(targets), number)
    logger.info("wrote %s and %s", amount(output), Path(output).parent / PAGES)
    return failures


if "snakemake" in globals():
    files, params = snakemake.input, snakemake.params
    run_step(
        snakemake,
        lambda: main(
            {name: params[name] for name in ("releases", "sources", "citations", "mask_allow", "configuration")},
            single_spectra(map(Block.from_dict, params.targets)),
            {
                "comparisons": list(files.comparisons),
                "summary": [files.summary],
                "figures": list(files.figures),
                "releases": [*files.releases, *files.focal_planes, *files.runs],
                "budget": list(files.budget_tables),
                "plates": list(files.plates),
                "outliers": list(files.outliers),
                "measured": list(files.measured),
                "coadds": list(files.coadds),
            },
            params.frames,
            params.spec_exposures,
            [Failure(**failure) for failure in params.failures],
            params.simulated,
            params.mask_bits,
            snakemake.output[0],
        ),
        collects=True,
    )
