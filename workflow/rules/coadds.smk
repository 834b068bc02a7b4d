# What full spec files tell of themselves: the distortion of each fiber and of whole plates, the coadd rebuilt from its
# exposures, the noise from repeated exposures, photometry. One job a spectrum, then one a plate.
import glob

from bosscal.calibration.distortion import FEWEST_FIBERS


@cache
def get_spectra():
    """(folder, fiber) of every target from a spec file, each once."""
    return list(dict.fromkeys((block.folder, block.fibers[0]) for block in get_blocks() if block.products == "spec"))


def get_coadd_tables(kind, folder=None):
    return [
        f"results/compare/{of_spectrum}/{kind}-{fiber:04d}.ecsv"
        for of_spectrum, fiber in get_spectra()
        if folder in (None, of_spectrum)
    ]


@cache
def get_plates_of_spectra():
    """Folders of the plates and nights with spec files enough for a model of the plate."""
    numbers = defaultdict(int)
    for folder, _ in get_spectra():
        numbers[folder] += 1
    return [folder for folder, number in numbers.items() if number >= FEWEST_FIBERS]


def get_plate_tables(wildcards=None):
    return [f"results/compare/{folder}/plate.ecsv" for folder in get_plates_of_spectra()]


def get_coadd_figures(wildcards=None):
    return [
        f"results/figures/{folder}-{fiber:04d}{kind.suffix}.png"
        for folder, fiber in get_spectra()
        for kind in kinds.OF_COADDS
    ]


def get_focal_plane_figures(wildcards=None):
    return [
        f"results/figures/{folder}{kind.suffix}.png"
        for folder in get_plates_of_spectra()
        for kind in kinds.OF_FOCAL_PLANES
    ]


def get_plug_maps(wildcards):
    """Files of the plate's folder that are on the mirror and tell where all fibers are plugged."""
    plate, mjd = wildcards.plate_mjd.split("-")
    redux = paths.redux_folder(FINDERS[wildcards.release])
    folder = f"{SOURCES[wildcards.release].mirror}{redux}/{plate}"
    whole = f"{folder}/spPlate-{plate}-{mjd}.fits"
    if os.path.exists(whole):
        return [whole]
    frames = [sorted(glob.glob(f"{glob.escape(folder)}/spFrame-b{side}-*.fits.gz"))[:1] for side in (1, 2)]
    return [name for found in frames for name in found]


def get_published_distortion(wildcards):
    """The survey's own spFluxdistort, if it is on the mirror."""
    plate, mjd = map(int, wildcards.plate_mjd.split("-"))
    path = SOURCES[wildcards.release].mirror + FINDERS[wildcards.release].get_fluxdistort_path(plate, mjd)
    return [path] if os.path.exists(path) else []


rule measure_coadd:
    input:
        spec=lambda wildcards: get_input(wildcards.release, get_spec_name(wildcards)),
        headers=get_lost_header_files,
    output:
        "results/coadd/{release}/{plate_mjd}/spCoadd-{plate_mjd}-{fiber}.fits",
        "results/compare/{release}/{plate_mjd}/coadd-{fiber}.ecsv",
        "results/compare/{release}/{plate_mjd}/repeats-{fiber}.ecsv",
        "results/compare/{release}/{plate_mjd}/eta-{fiber}.ecsv",
        report(
            "results/figures/{release}/{plate_mjd}-{fiber}-coadd.png",
            caption="../report/coadds.rst",
            category="Spectra",
            subcategory="Distortion, coadd and repeats",
            labels={"target": "{release} {plate_mjd}-{fiber}", "figure": "Distortion, coadd and repeats"},
        ),
        *in_formats("results/figures/{release}/{plate_mjd}-{fiber}-coadd"),
    log:
        "results/logs/measure_coadd/{release}/{plate_mjd}/{fiber}.log",
    benchmark:
        "results/benchmarks/measure_coadd/{release}/{plate_mjd}/{fiber}.tsv"
    group:
        "spectra"
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("measure_coadd"),
        code=code("measure_coadd.py"),
        look=LOOK,
        name=get_spec_name,
        run2d=lambda wildcards: RELEASES[wildcards.release].run2d,
        noise_law=lambda wildcards: RELEASES[wildcards.release].noise_law,
        mask_allow=MASK_ALLOW,
        thrucorr=lambda wildcards: RELEASES[wildcards.release].thrucorr,
    script:
        "../scripts/measure_coadd.py"


@cache
def get_subsets():
    """(folder, fiber, name) of every further coadd that is asked for, to its exposures and cameras."""
    nights = get_nights().mjds
    subsets = {}
    for request in get_requests():
        mjd = request.mjd or nights.get((request.release, request.plate))
        for name, exposures, cameras in request.coadds if mjd else ():
            for fiber in request.fibers:
                place = (f"{request.release}/{request.plate:04d}-{mjd}", fiber, name)
                with user_errors():
                    if place in subsets and subsets[place] != (exposures, cameras):
                        raise UserError(f"targets: {place[0]}-{fiber:04d} has two coadds '{name}'; rename one")
                subsets[place] = (exposures, cameras)
    return subsets


def get_subset_files(wildcards=None):
    return [
        "results/coadd/{0}/spCoadd-{1}-{2:04d}-{3}.fits".format(folder, folder.partition("/")[2], fiber, name)
        for folder, fiber, name in get_subsets()
    ]


def get_subset(wildcards):
    """Exposures and cameras of a further coadd."""
    place = (f"{wildcards.release}/{wildcards.plate_mjd}", int(wildcards.fiber), wildcards.subset)
    if place not in get_subsets():
        not_asked_for("coadd '{subset}' of {release}/{plate_mjd}-{fiber}".format(**wildcards))
    return get_subsets()[place]


# Half the night, one camera, all but the worst: a coadd of some of the exposures, as the configuration names it.
rule measure_subset:
    input:
        lambda wildcards: get_input(wildcards.release, get_spec_name(wildcards)),
    output:
        "results/coadd/{release}/{plate_mjd}/spCoadd-{plate_mjd}-{fiber}-{subset}.fits",
    log:
        "results/logs/measure_subset/{release}/{plate_mjd}/{fiber}-{subset}.log",
    benchmark:
        "results/benchmarks/measure_subset/{release}/{plate_mjd}/{fiber}-{subset}.tsv"
    wildcard_constraints:
        subset="[a-z][a-z0-9-]*",
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("measure_subset"),
        code=code("measure_subset.py"),
        name=get_spec_name,
        run2d=lambda wildcards: RELEASES[wildcards.release].run2d,
        exposures=lambda wildcards: get_subset(wildcards)[0],
        cameras=lambda wildcards: get_subset(wildcards)[1],
    script:
        "../scripts/measure_subset.py"


rule fit_distortion:
    input:
        tables=lambda wildcards: get_coadd_tables("coadd", "{release}/{plate_mjd}".format(**wildcards)),
        plug_maps=get_plug_maps,
        published=get_published_distortion,
    output:
        "results/compare/{release}/{plate_mjd}/plate.ecsv",
        "results/distortion/{release}/{plate_mjd}/spFluxdistort-{plate_mjd}.fits",
        report(
            "results/figures/{release}/{plate_mjd}-distortion.png",
            caption="../report/focalplane.rst",
            category="Plates",
            subcategory="Distortion of the plate",
            labels={"exposure": "{release} {plate_mjd}", "figure": "Distortion of the plate"},
        ),
        *in_formats("results/figures/{release}/{plate_mjd}-distortion"),
    log:
        "results/logs/fit_distortion/{release}/{plate_mjd}.log",
    benchmark:
        "results/benchmarks/fit_distortion/{release}/{plate_mjd}.tsv"
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("fit_distortion"),
        code=code("fit_distortion.py"),
        look=LOOK,
    script:
        "../scripts/fit_distortion.py"


rule collect_coadds:
    input:
        coadds=lambda wildcards: get_coadd_tables("coadd"),
        repeats=lambda wildcards: get_coadd_tables("repeats"),
        bins=lambda wildcards: get_coadd_tables("eta"),
        plates=get_plate_tables,
    output:
        *in_formats(f"{COMPARE}/ivar_correction"),
        coadds=f"{COMPARE}/coadds.ecsv",
        repeats=f"{COMPARE}/repeats.ecsv",
        correction=f"{COMPARE}/ivar_correction.ecsv",
        png=report(
            f"{COMPARE}/ivar_correction.png",
            caption="../report/eta.rst",
            category="Summary",
            subcategory="Correction of ivar",
        ),
        plates=f"{COMPARE}/plates.ecsv",
    log:
        f"{COMPARE.replace('results', 'results/logs', 1)}/collect_coadds.log",
    benchmark:
        f"{COMPARE.replace('results', 'results/benchmarks', 1)}/collect_coadds.tsv"
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("collect_coadds", f"{COMPARE}/coadds.ecsv"),
        code=code("collect_coadds.py"),
        look=LOOK,
    script:
        "../scripts/collect_coadds.py"


def get_collected_coadds(wildcards):
    """The tables over all spec files, if the configuration has any."""
    return list(rules.collect_coadds.output) if get_spectra() else []
