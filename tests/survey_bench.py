"""What a survey costs, measured on simulated plates: the numbers of docs/survey.md.

    python tests/survey_bench.py plan FOLDER 1 10 25 100    plan so many plates: jobs, time and memory of a dry run
    python tests/survey_bench.py plate FOLDER 7             one plate with so many exposures, all fibers, on two cores
    python tests/survey_bench.py plate FOLDER 7 false       the same without npz files (keep_intermediates)
    python tests/survey_bench.py spectra FOLDER 20          so many fibers of one plate from their full spec files
    python tests/survey_bench.py page FOLDER 100 2500       the survey's page over so many plates, from made-up tables
    python tests/survey_bench.py summary FOLDER 10 30 100  the summary of so many plates, from repeated tables
    python tests/survey_bench.py survey FOLDER              the whole survey from the above, as docs/survey.md has it

Each writes what it measured to FOLDER, which is kept. Times depend on the machine; jobs and bytes do not.
"""

import csv
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "src"))

from bosscal import simulation  # noqa: E402
from bosscal.survey.targets import Block  # noqa: E402

SEED = 20130402  # as workflow/rules/simulate.smk has it
CORES = 2
PLATE = simulation.Plate(4207, 55205)  # of the simulated list, with seven exposures
# What a survey is: plates, science exposures of each, spectra. Exposures are 30 camera exposures a plate over four.
SURVEYS = {"DR12": (2500, 7.5), "DR17": (4000, 7.5)}


def snakemake(folder, *arguments):
    """Run snakemake in a folder; returns its output, wall time [s], CPU time [s] and peak memory [MB] of itself."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile", "--cores", CORES]
    command += ["--workflow-profile", REPOSITORY / "profiles" / "default", *arguments]
    log = folder / "snakemake.log"
    start = time.perf_counter()
    with open(log, "w") as stream:
        process = subprocess.Popen(list(map(str, command)), cwd=folder, stdout=stream, stderr=stream)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    output = log.read_text()
    if status:
        sys.exit(output)
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return output, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit


def configure(folder, **config):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def disk(folder):
    """Bytes below a folder [MB]; links count nothing."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 1e6


def busy_seconds():
    """CPU time of all processes of this machine since it began [s], where the kernel tells it; 0 elsewhere."""
    try:
        user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    except OSError:
        return 0.0
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def benchmarks(folder):
    """Wall time [s], CPU time [s] and peak memory [MB] of every job, by the step's name."""
    found = defaultdict(list)
    for path in sorted((folder / "results/benchmarks").rglob("*.tsv")):
        step = path.relative_to(folder / "results/benchmarks").parts[0]
        with open(path) as stream:
            row = next(csv.DictReader(stream, delimiter="\t"))
        wall, cpu, memory = (float(row[name]) if row[name] not in ("-", "NA") else 0.0 for name in
                             ("s", "cpu_time", "max_rss"))  # fmt: skip
        found[step].append((wall, cpu, memory))
    return found


def save(folder, name, found):
    (folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def plan(folder, numbers):
    """Jobs, time and memory of a dry run of whole plates whose exposures are known, with npz files and without."""
    found = []
    listed = [row.plate for row in simulation.listed_plates()[6:] if row.quality == "good"]
    for number in map(int, numbers):
        run = folder / f"plan{number}"
        plates = listed[:number]
        whole = [{"plate": each.number, "mjd": each.mjd, "fibers": "all", "exposures": "all"} for each in plates]
        configure(run, release="sim", targets=whole)
        for plate in plates:
            for fiber in (1, 501):
                name = simulation.spec_path(fiber, lite=True, plate=plate)
                mirror, link = run / "results/mirror" / name, run / "results/inputs/sim" / name
                if link.is_symlink():
                    continue
                simulation.write_spec_lite(run / "results/simulated", fiber, SEED, plate)
                for path in (mirror, link):
                    path.parent.mkdir(parents=True, exist_ok=True)
                os.link(run / "results/simulated" / name, mirror)
                link.symlink_to(os.path.relpath(mirror, link.parent))
        snakemake(run, "--until", "list_exposures")
        exposures = sum(4 * len(plate.exposures) for plate in plates)
        for keep in (True, False):
            output, seconds, cpu, memory = snakemake(run, "--dry-run", "--config", f"keep_intermediates={keep}")
            jobs = int(next(line for line in output.splitlines() if line.startswith("total")).split()[1])
            found.append(
                {"plates": number, "camera exposures": exposures, "npz kept": keep, "jobs": jobs, "seconds": seconds,
                 "CPU [s]": cpu, "MB": memory}
            )  # fmt: skip
    save(folder, "plan", found)


def plate(folder, number, keep="true"):
    """One whole plate: its files are made first, and then the analysis is timed."""
    run = folder / "plate"
    wanted = {"plate": PLATE.number, "mjd": PLATE.mjd, "fibers": "all", "exposures": list(range(int(number)))}
    configure(run, release="sim", targets=[wanted], keep_intermediates=yaml.safe_load(keep))
    exposures = PLATE.exposures[: int(number)]
    files = [path for camera in simulation.CAMERAS for expnum in exposures
             for path in simulation.camera_exposure_paths(camera, expnum, PLATE)]  # fmt: skip
    files += [simulation.flat_path(camera, PLATE) for camera in simulation.CAMERAS]
    files += [simulation.fluxdistort_path(PLATE)]
    files += [simulation.spec_path(fiber, lite=True, plate=PLATE) for fiber in (1, 501)]
    snakemake(run, "--", *(f"results/simulated/{path}" for path in files))
    simulated, before, busy = disk(run / "results"), os.times(), busy_seconds()
    _, seconds, _, memory = snakemake(run)
    after, busy = os.times(), busy_seconds() - busy
    steps = benchmarks(run)
    cpu = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    units = 4 * int(number)
    found = {
        "camera exposures": units,
        "wall [s]": seconds,
        "CPU [s]": cpu,
        "wall over half the CPU": seconds / (cpu / CORES),
        "CPU of other work on this machine [s]": max(busy - cpu, 0.0),
        "wall over half of all CPU": seconds / (max(busy, cpu) / CORES),
        "CPU of a camera exposure, all steps [s]": cpu / units,
        "peak memory of snakemake [MB]": memory,
        "steps": {
            step: {
                "jobs": len(jobs),
                "longest [s]": max(each[0] for each in jobs),
                "peak memory [MB]": max(each[2] for each in jobs),
            }
            for step, jobs in steps.items()
            if step not in ("simulate", "download")
        },
        "input of a camera exposure [MB]": disk(run / "results/simulated") / units,
        "results [MB]": disk(run / "results") - simulated,
        "results by folder, of a camera exposure [MB]": {
            path.name: round(disk(path) / units, 2)
            for path in sorted((run / "results").iterdir())
            if path.name not in ("simulated", "mirror", "inputs") and path.is_dir()
        },
    }
    save(folder, "plate" if yaml.safe_load(keep) else "plate-without-npz", found)


def spectra(folder, number):
    """Fibers of one plate from their full spec files; the files are made first."""
    run = folder / "spectra"
    wanted = {"plate": simulation.PLATE, "fibers": [f"1-{number}"], "exposures": "all", "products": "spec"}
    configure(run, release="sim", targets=[wanted])
    snakemake(run, "--until", "list_exposures")
    simulated = disk(run / "results")
    _, seconds, _, _ = snakemake(run)
    steps = benchmarks(run)
    found = {
        "spectra": int(number),
        "wall of a spectrum, figures and all [s]": seconds / int(number),
        "measure_spec [s]": sum(each[0] for each in steps["measure_spec"]) / int(number),
        "peak memory [MB]": max(each[2] for each in steps["measure_spec"]),
        "results of a spectrum [MB]": (disk(run / "results") - simulated) / int(number),
    }
    save(folder, "spectra", found)


def made_up_plates(folder, number):
    """Tables of so many simulated plates of 30 camera exposures, from the computed one of the plate's own run.

    The computed rows are repeated with the plates' numbers, nights and places; each number is scattered by 1 %, from a
    fixed seed, and one plate in 40 has a fault. So sizes and times are those of a survey, and what is told is made up.
    """
    from astropy.table import vstack

    from bosscal.base.tables import read_table, write_table
    from bosscal.report.plates import MEDIANS

    (path,) = (folder / "plate/results/plates").glob("*/*.ecsv")
    computed = read_table(path)
    computed = vstack([computed] * -(-30 // len(computed)))[:30]
    random = np.random.default_rng(SEED)
    listed = [row for row in simulation.listed_plates() if row.quality == "good"]
    for count in range(number):
        row = listed[count % len(listed)]
        table, again = computed.copy(), count // len(listed)
        table["plate"], table["mjd"] = row.plate.number + 4000 * again, row.plate.mjd
        table["expnum"] = row.plate.exposures[0] + np.arange(30) // 4
        table["ra"], table["dec"] = np.round(random.uniform(110, 260), 4), np.round(random.uniform(0, 60), 4)
        for name in (*MEDIANS, "noise_ratio_p16", "noise_ratio_p84"):
            if table[name].dtype.kind == "f":
                table[name] *= random.normal(1, 0.01, 30)
        if count % 40 == 0:
            bad = np.arange(30) % 4 == count // 40 % 4
            table["status"] = np.where(bad, "bad", table["status"])
            words = f"SKYCHI2, the mean chi² of the sky subtraction, is {2 + count / 1000:.3g}, not 0.9–1.4"
            table["reasons"] = np.where(bad, words, table["reasons"])
        name = f"{table['plate'][0]:04d}-{row.plate.mjd}.ecsv"
        (folder / "results/plates/sim").mkdir(parents=True, exist_ok=True)
        write_table(folder / "results/plates/sim" / name, table)


def page(folder, *numbers):
    """Time, memory and size of the survey's page; needs what ``plate`` and ``snakemake survey`` in its folder made."""
    found = []
    for number in map(int, numbers):
        run = folder / f"page{number}"
        run.mkdir(exist_ok=True)
        (run / "plate").exists() or (run / "plate").symlink_to(folder / "plate")
        made_up_plates(run, number)
        code = (
            "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import write_survey; "
            "tables = sorted(map(str, Path('results/plates').glob('*/*.ecsv'))); "
            "write_survey.main(tables, {}, '', 'results/survey/index.html')"
        )
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", code, REPOSITORY / "workflow/scripts"], cwd=run)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if status:
            sys.exit("the page could not be made")
        files = {path.name: path.stat().st_size / 1e6 for path in (run / "results/survey").glob("**/*.html")}
        found.append(
            {
                "plates": number,
                "seconds": time.perf_counter() - start,
                "peak memory [MB]": usage.ru_maxrss / 1e3,
                "tables [MB]": disk(run / "results/plates"),
                "pages, scripts and exports [MB]": disk(run / "results/survey"),
                "start page [MB]": files["index.html"],
                "page of all plates [MB]": files["plates.html"],
            }
        )
    save(folder, "page", found)


def summary(folder, *numbers):
    """Time and memory of ``summarize``, whose tables are those of the computed plate under other plates' numbers."""
    found = []
    computed = sorted((folder / "plate/results/compare").glob(f"sim/{PLATE.number}-*/[br][12]-????????.ecsv"))
    listed = [row.plate for row in simulation.listed_plates() if row.quality == "good"]
    for number in map(int, numbers):
        run = folder / f"summary{number}"
        blocks = []
        for plate in listed[:number]:
            name = f"sim/{plate.number}-{plate.mjd}"
            for path in computed:
                text = path.read_text(encoding="utf-8")
                text = text.replace(f"\nsim {PLATE.number} {PLATE.mjd} ", f"\nsim {plate.number} {plate.mjd} ")
                new = run / "results/compare" / name / path.name
                new.parent.mkdir(parents=True, exist_ok=True)
                new.write_text(text, encoding="utf-8")
            for side in "12":
                units = [path.stem.split("-") for path in computed if path.stem[1] == side]
                order = {expnum: place for place, expnum in enumerate(sorted({expnum for _, expnum in units}))}
                exposures = [({"b": "blue", "r": "red"}[c[0]], c, order[e], int(e)) for c, e in units]
                fibers = ["1-500" if side == "1" else "501-1000"]
                blocks.append(Block.from_dict(
                    {"release": "sim", "plate": plate.number, "mjd": plate.mjd, "products": "frames",
                     "whole_plate": True, "fibers": fibers, "exposures": exposures}).to_dict())  # fmt: skip
        (run / "blocks.json").write_text(json.dumps(blocks))
        code = (
            "import json, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import summarize; "
            "from bosscal.survey.targets import Block; "
            "blocks = list(map(Block.from_dict, json.loads(Path('blocks.json').read_text()))); "
            "tables = sorted(map(str, Path('results/compare').glob('*/*/*.ecsv'))); "
            "summarize.main(tables, [], blocks, [], 'results/compare/summary.ecsv')"
        )
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", code, REPOSITORY / "workflow/scripts"], cwd=run)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if status:
            sys.exit("the summary could not be made")
        spectra = sum(len(block["exposures"]) for block in blocks) * 500
        found.append({"plates": number, "spectra": spectra, "seconds": time.perf_counter() - start,
                      "peak memory [MB]": usage.ru_maxrss / 1e3})  # fmt: skip
    save(folder, "summary", found)


def survey(folder, *_):
    """Time, disk and network of whole surveys, from what was measured."""
    measured = json.loads((folder / "plate.json").read_text())
    of_exposure = measured["CPU of a camera exposure, all steps [s]"]
    kept = measured["results by folder, of a camera exposure [MB]"]
    print("| | " + " | ".join(SURVEYS) + " |\n|---|" + "---|" * len(SURVEYS))
    rows = defaultdict(list)
    for plates, exposures in SURVEYS.values():
        units = 4 * plates * exposures
        rows["plates"].append(f"{plates}")
        rows["camera exposures"].append(f"{units:.0f}")
        rows["core hours"].append(f"{units * of_exposure / 3600:.0f}")
        rows["days on two cores"].append(f"{units * of_exposure / 3600 / 48:.1f}")
        rows["hours on 10 nodes of 32 cores"].append(f"{units * of_exposure / 3600 / 320:.1f}")
        rows["to be downloaded [TB]"].append(f"{units * measured['input of a camera exposure [MB]'] / 1e6:.1f}")
        rows["days of that at 100 MB/s"].append(
            f"{units * measured['input of a camera exposure [MB]'] / 100 / 86400:.1f}"
        )
        rows["npz of extract_frame and calibrate, if kept [TB]"].append(
            f"{units * (kept['extract_frame'] + kept['calibrate']) / 1e6:.1f}"
        )
        rows["spCalib [TB]"].append(f"{units * kept['calib'] / 1e6:.1f}")
        rows["tables and figures [TB]"].append(
            f"{units * (kept['compare'] + kept['figures'] + kept['outliers']) / 1e6:.2f}"
        )
        rows["at 0.04 $ a core hour [$]"].append(f"{units * of_exposure / 3600 * 0.04:.0f}")
    for name, values in rows.items():
        print(f"| {name} | {' | '.join(values)} |")


if __name__ == "__main__":
    what, where = sys.argv[1], Path(sys.argv[2]).resolve()
    where.mkdir(parents=True, exist_ok=True)
    arguments = sys.argv[3:]
    {
        "plan": lambda: plan(where, arguments),
        "plate": lambda: plate(where, *arguments),
        "spectra": lambda: spectra(where, *arguments),
        "page": lambda: page(where, *arguments),
        "summary": lambda: summary(where, *arguments),
        "survey": lambda: survey(where),
    }[what]()
