"""From configuration entries to single spectra."""

import json
import re
import time
from dataclasses import replace

import pytest
from conftest import REPOSITORY

from bosscal.base.errors import UserError
from bosscal.base.outcomes import Failure
from bosscal.run.configuration import TargetEntry
from bosscal.run.releases import read_releases
from bosscal.run.tables import read_target_table
from bosscal.survey.platelist import ListedPlate, choose_plates, write_target_table
from bosscal.survey.targets import (
    Block,
    Listing,
    Nights,
    Request,
    Target,
    as_ranges,
    exposure_sources,
    find_blocks,
    find_mjd,
    listing_from_json,
    listing_to_json,
    nights_from_json,
    nights_to_json,
    parse_fibers,
    parse_requests,
    single_spectra,
    spectra_by_plate,
)


def entry(**changes):
    return TargetEntry.model_validate(
        {
            "release": "dr12", "plate": 6641, "mjd": 56383, "fibers": [1], "bands": ["blue"], "exposures": [0],
            "products": "frames",
        } | changes
    )  # fmt: skip


def resolve(requests, mjds, exposures):
    """Single spectra, and what is not there."""
    blocks, failures = find_blocks(requests, mjds, exposures)
    return single_spectra(blocks), failures


def request(**changes):
    return parse_requests([entry(**changes)])[0]


def test_fibers_may_be_numbers_ranges_or_all():
    """Protects the three ways to list fibers, and their order."""
    assert parse_fibers([7, "1-3", 1000]) == (7, 1, 2, 3, 1000)
    assert parse_fibers("all") == tuple(range(1, 1001))


@pytest.mark.parametrize(
    "second",
    [entry(), entry(exposures="all"), entry(fibers=["1-20"], bands=["red", "blue"]), entry(exposures=[3, 0])],
)
def test_duplicate_targets_are_named(second):
    """Protects against two jobs for one figure."""
    with pytest.raises(UserError, match=r"targets\[1\]: plate 6641 fiber 1 blue is listed twice.*targets\[0\]"):
        parse_requests([entry(), second])


@pytest.mark.parametrize("exposures", [[0], [5, 0], "all"])
def test_an_entry_for_all_exposures_is_a_duplicate_of_any(exposures):
    """Protects both orders of two entries of which one asks for all exposures."""
    with pytest.raises(UserError, match="listed twice"):
        parse_requests([entry(exposures=exposures), entry(exposures="all")])


def test_every_duplicate_is_reported_at_once():
    """Protects against removing one entry only to be told of the next: a line for each that repeats another."""
    with pytest.raises(UserError) as caught:
        parse_requests([entry(), entry(fibers=[2, 1]), entry(fibers=[3]), entry(fibers=["2-3"])])
    assert str(caught.value).splitlines() == [
        "targets[1]: plate 6641 fiber 1 blue is listed twice (also in targets[0]); remove one",
        "targets[3]: plate 6641 fiber 2 blue is listed twice (also in targets[1]); remove one",
    ]


@pytest.mark.parametrize(
    "changes", [{"bands": ["red"]}, {"exposures": [1]}, {"release": "dr14"}, {"fibers": [2]}, {"mjd": 56390}]
)
def test_what_differs_is_no_duplicate(changes):
    """Protects the default configuration, which lists a plate twice, and the comparison of releases."""
    assert len(parse_requests([entry(), entry(**changes)])) == 2


def test_many_entries_are_fast():
    """Protects configurations made by a program: the time grows with their length, not with its square."""
    one = entry(fibers="all", bands=["blue", "red"])
    entries = [one.model_copy(update={"exposures": (number,)}) for number in range(200)]
    begin = time.perf_counter()
    assert len(parse_requests(entries)) == 200  # 400000 spectra; comparing each with all before took minutes
    assert time.perf_counter() - begin < 5


PLATELIST = [
    (3615, 55179, "good", "v5_7_0"),
    (3615, 55208, "good", "v5_7_0"),
    (3616, 55180, "bad", "v5_7_0"),
    (6641, 56383, "good", "v5_7_0"),
    (6641, 56390, "good", "v5_7_2"),
    (6641, 56384, "bad", "v5_7_0"),
]


def test_mjd_is_the_only_good_night_of_the_reduction():
    """Protects the look-up from bad nights and from other reductions."""
    assert find_mjd(PLATELIST, 6641, "v5_7_0") == 56383


@pytest.mark.parametrize(
    ("plate", "message"),
    [
        (
            3615,
            "plate 3615 was observed well on several nights: set mjd to one of 55179, 55208; it may have been plugged",
        ),
        (3616, r"plate 3616 has no observation of quality 'good'.*55180 \(bad\)"),
        (9999, "plate 9999 is not in the platelist of v5_7_0"),
    ],
)
def test_no_or_several_nights_are_listed(plate, message):
    """Protects against guessing a night."""
    with pytest.raises(UserError, match=message):
        find_mjd(PLATELIST, plate, "v5_7_0")


EXPOSURES = {"b1": {20: 7, 10: 7, 30: 8}, "r1": {10: 7, 30: 8}}


def spectra(request, exposures=EXPOSURES):
    """(camera, expidx, expnum) of a request's spectra."""
    sources = exposure_sources([request], {})
    found, failures = resolve([request], {}, dict.fromkeys(sources, exposures))
    return [(target.camera, target.expidx, target.expnum) for target in found], [failure.line for failure in failures]


def test_exposures_count_in_time_order_over_both_cameras():
    """Protects the sequence number where the cameras' exposure counts differ."""
    assert spectra(request(exposures=[1], bands=["blue"])) == ([("b1", 1, 20)], [])
    assert spectra(request(exposures=[2], bands=["blue", "red"])) == ([("b1", 2, 30), ("r1", 2, 30)], [])


def test_all_exposures_are_those_the_camera_has():
    """Protects `exposures: all` from frames that do not exist."""
    assert spectra(request(exposures="all", bands=["red"])) == ([("r1", 0, 10), ("r1", 2, 30)], [])


@pytest.mark.parametrize(
    ("exposures", "message"),
    [
        ([3], r"exposure 3 asked for, the coadd has 0-2 \(10, 20, 30\)"),
        ([1], r"camera r1 took no part in exposure 1 \(#20\)"),
    ],
)
def test_missing_exposures_are_listed(exposures, message):
    """Protects against a wrong exposure being taken for the one asked for, and the others from going with it."""
    found, (line,) = spectra(request(exposures=[0, *exposures], bands=["red"]))
    assert found == [("r1", 0, 10)]
    assert re.match(f"targets dr12 6641-56383 0001: {message}", line)


def test_an_exposure_that_one_camera_lacks_costs_that_camera_only():
    """Protects the other band; and one line for many fibers, not one for each."""
    wanted = request(fibers=["1-5"], exposures=[1], bands=["blue", "red"])
    found, (line,) = spectra(wanted)
    assert found == [("b1", 1, 20)] * 5
    assert line == (
        "targets dr12 6641-56383 0001, 0002, 0003 and 2 more fibers: camera r1 took no part in exposure 1 (#20); "
        "it has 10, 30"
    )


def test_one_small_file_tells_a_spectrograph():
    """Protects downloads: a fiber added to a spectrograph fetches nothing new, and spec files tell their own."""
    sources = exposure_sources([request(fibers=[12, 1, 501, 700])], {})
    assert set(sources) == {("dr12", "frames", 6641, 56383, 12), ("dr12", "frames", 6641, 56383, 501)}
    sources = exposure_sources([request(fibers=[12, 1], products="spec")], {})
    assert set(sources) == {("dr12", "spec", 6641, 56383, 12), ("dr12", "spec", 6641, 56383, 1)}


def test_night_found_later_can_reveal_a_duplicate():
    """Protects against the same spectrum asked for once with and once without its night."""
    requests = parse_requests([entry(), entry(mjd=None)])
    sources = exposure_sources(requests, {("dr12", 6641): 56383})
    found, (failure,) = resolve(requests, {("dr12", 6641): 56383}, dict.fromkeys(sources, EXPOSURES))
    assert [target.key for target in found] == ["dr12/6641-56383-0001-b1-00000010"]
    assert failure.line == "targets dr12/6641-56383-0001-b1-00000010: is listed twice in targets: remove one"


def test_a_fiber_beside_its_whole_plate_has_figures_of_its_own():
    """Protects a configuration that asks for a whole plate and for the figures of some of its fibers."""
    requests = parse_requests([entry(fibers="all"), entry(fibers=[12])])
    sources = exposure_sources(requests, {})
    found, _ = resolve(requests, {}, {source: {"b1": {10: 7}, "b2": {10: 7}} for source in sources})
    assert len(found) == 1000
    assert [target.fiber for target in found if not target.whole_plate] == [12]


def test_exposures_survive_json():
    """Protects the numbers from becoming text on their way through a file."""
    exposures = {("dr12", "frames", 6641, 56383, 1): EXPOSURES, ("dr14", "spec", 6641, 56383, 1): EXPOSURES}
    failures = {("dr12", "spec", 6641, 56383, 2): [Failure("download", "spec", "no such file", "a.log")]}
    listing = Listing(exposures, {("dr14", "spec", 6641, 56383, 1)}, failures)
    assert listing_from_json(json.loads(json.dumps(listing_to_json(listing)))) == listing
    nights = Nights({("dr12", 6641): 56383}, failures["dr12", "spec", 6641, 56383, 2])
    assert nights_from_json([json.loads(json.dumps(nights_to_json(nights)))]) == nights


def test_what_cannot_be_looked_up_costs_no_other_target():
    """Protects good plates beside one without a night, and beside one whose spec file cannot be read."""
    requests = parse_requests([entry(plate=7000, mjd=None), entry(plate=7001), entry()])
    sources = exposure_sources(requests, {})
    assert [source[2] for source in sources] == [7001, 6641]
    found, failures = resolve(requests, {}, {sources[1]: EXPOSURES})
    assert [target.plate for target in found] == [6641]
    assert failures == []  # whoever read the files has said why


def test_requests_are_plain_values():
    """Protects the parsed form that the workflow builds on."""
    assert request(exposures="all", mjd=None) == Request("dr12", 6641, None, (1,), ("blue",), None, "frames")


def test_each_release_has_its_own_nights_and_exposures():
    """Protects the comparison of releases: the same spectrum of two is two targets, each with its own coadd."""
    requests = parse_requests([entry(mjd=None), entry(mjd=None, release="dr14")])
    mjds = {("dr12", 6641): 56383, ("dr14", 6641): 56390}
    sources = exposure_sources(requests, mjds)
    assert sources == [("dr12", "frames", 6641, 56383, 1), ("dr14", "frames", 6641, 56390, 1)]
    exposures = {
        ("dr12", "frames", 6641, 56383, 1): {"b1": {10: 7}},
        ("dr14", "frames", 6641, 56390, 1): {"b1": {8: 7}},
    }
    assert [target.key for target in resolve(requests, mjds, exposures)[0]] == [
        "dr12/6641-56383-0001-b1-00000010",
        "dr14/6641-56390-0001-b1-00000008",
    ]
    requests = parse_requests([entry(), entry(release="dr14")])
    sources = exposure_sources(requests, {})
    assert len(resolve(requests, {}, dict.fromkeys(sources, EXPOSURES))[0]) == 2


def test_names_of_a_target():
    """Protects the names of files: the release is a folder above the plate, and no part of a spectrum's name."""
    target = Target("dr12-sequels", 7284, 56657, 7, "red", "r1", 2, 173, "frames")
    assert target.name == "7284-56657-0007-r1-00000173"
    assert target.folder == "dr12-sequels/7284-56657"
    assert target.key == "dr12-sequels/7284-56657-0007-r1-00000173"
    assert target.unit == "r1-00000173"
    assert replace(target, products="spec").unit == "r1-00000173-0007"
    assert next(iter(target.to_dict())) == "release"
    assert Target(**target.to_dict()) == target


def test_one_spectrum_is_not_both_from_frames_and_from_spec():
    """Protects against two jobs for one figure, and against a fiber that a whole plate loses without a word."""
    for fibers in ([5], "all"):
        entries = [entry(fibers=fibers, exposures=(0,)), entry(fibers=[5], products="spec", exposures=(1,))]
        with pytest.raises(UserError, match=r"plate 6641 fiber 5 b is listed from frames and from spec; remove one"):
            parse_requests(entries)
    parse_requests([entry(fibers=[4]), entry(fibers=[5], products="spec")])


def test_no_spectrum_at_all_is_named():
    """Protects against a summary of nothing: a file whose exposures are all of another camera."""
    requests = parse_requests([entry(products="spec", exposures="all")])
    source = exposure_sources(requests, {})[0]
    found, (failure,) = resolve(requests, {}, {source: {"b2": {1: 2}}})
    assert found == []
    assert failure.cause == "the coadd has no exposure of camera b1; take blue out of bands"


def test_a_survey_of_whole_plates_is_planned_without_naming_every_spectrum():
    """Protects plans of thousands of plates: their size grows with camera exposures, and not with spectra."""
    entries = [
        entry(plate=number, fibers="all", bands=["blue", "red"], exposures="all") for number in range(4000, 6500)
    ]
    begin = time.perf_counter()
    requests = parse_requests(entries)
    sources = exposure_sources(requests, {})
    of_side = [{f"{band}{side}": dict.fromkeys(range(7), 0) for band in "br"} for side in (1, 2)]
    blocks, failures = find_blocks(requests, {}, {source: of_side[source[4] > 500] for source in sources})
    assert time.perf_counter() - begin < 5  # 35 million spectra
    assert len(sources) == len(blocks) == 5000
    assert failures == []
    assert sum(len(block.units) for block in blocks) == 2500 * 4 * 7
    assert len(json.dumps([block.to_dict() for block in blocks])) < 5000 * 1000


@pytest.mark.parametrize("fibers", [(1, 2, 3, 7, 9, 10), (5, 4, 3), (1,), ()])
def test_ranges_are_the_fibers_again(fibers):
    """Protects the fibers on their way to a step, and their order."""
    assert parse_fibers(as_ranges(fibers)) == fibers
    assert as_ranges(range(1, 1001)) == ["1-1000"]


def test_blocks_survive_json():
    """Protects the spectra that a step is told of: the same, in the same order."""
    requests = parse_requests([entry(fibers=[700, "3-5", 1], bands=["red", "blue"], exposures="all")])
    blocks, _ = find_blocks(requests, {}, dict.fromkeys(exposure_sources(requests, {}), EXPOSURES))
    again = [Block.from_dict(json.loads(json.dumps(block.to_dict()))) for block in blocks]
    assert again == blocks
    assert [target.fiber for target in single_spectra(again)] == [3] * 5 + [4] * 5 + [5] * 5 + [1] * 5


def test_a_plate_listed_twice_as_a_whole_is_named_spectrum_by_spectrum():
    """Protects the message where a night that was looked up shows that two entries are the same plate."""
    requests = parse_requests([entry(fibers="all"), entry(fibers="all", mjd=None)])
    sources = exposure_sources(requests, {("dr12", 6641): 56383})
    blocks, failures = find_blocks(requests, {("dr12", 6641): 56383}, {sources[0]: EXPOSURES})
    assert len(failures) == 500
    assert len(single_spectra(blocks)) == 500


LISTED = [
    ListedPlate(4000, 55300, "good", "v5_7_0", "boss", 359.0, 5.0),
    ListedPlate(4000, 55310, "bad", "v5_7_0", "boss", 359.0, 5.0),
    ListedPlate(4001, 55320, "marginal", "v5_7_0", "BOSS", 1.0, -5.0),
    ListedPlate(4002, 55330, "good", "v5_7_2", "sequels", 180.0, 50.0),
    ListedPlate(4003, 55340, "good", "v5_7_0", "sequels", 180.0, 50.0),
]


@pytest.mark.parametrize(
    ("wanted", "nights"),
    [
        ({}, [55300, 55340]),
        ({"quality": ("good", "bad", "marginal")}, [55300, 55310, 55320, 55340]),
        ({"numbers": (4001, 4003)}, [55340]),
        ({"mjd": (55300, 55339)}, [55300]),
        ({"programmes": ("SEQUELS",)}, [55340]),
        ({"programmes": ("boss",), "quality": ("marginal",)}, [55320]),
        ({"ra": (350, 10), "quality": ("good", "marginal")}, [55300, 55320]),
        ({"ra": (10, 350)}, [55340]),
        ({"dec": (5, 50), "ra": (0, 360)}, [55300, 55340]),
        ({"dec": (60, 90)}, []),
    ],
)
def test_a_query_chooses_plates(wanted, nights):
    """Protects what a survey is made of: limits are included, a footprint may go across 0, and nothing is guessed."""
    assert [row.mjd for row in choose_plates(reversed(LISTED), "v5_7_0", **wanted)] == nights


def test_what_a_query_found_is_a_table_of_targets(tmp_path):
    """Protects the record of a query: it can be given as `table`, and is the same targets."""
    spectra = {"fibers": ["1-20", 486], "bands": ["blue"], "exposures": "all", "products": "frames"}
    write_target_table(tmp_path / "query.csv", LISTED[:2], "dr12", spectra)
    entries, _ = read_target_table(tmp_path / "query.csv", read_releases(REPOSITORY / "workflow/releases.yaml"), None)
    expected = [entry(plate=4000, mjd=mjd, fibers=["1-20", 486], exposures="all") for mjd in (55300, 55310)]
    assert entries == expected


def test_spectra_come_plate_by_plate_in_the_same_order():
    """Protects runs of many plates from holding all spectra at once: portions of a plate, whose whole is the list, with
    a plate in several places, and a fiber that is listed beside its whole plate."""

    def block(plate, fibers, whole=False, products="frames"):
        exposures = tuple(("red", f"r{1 + (fibers[0] > 500)}", place, 100 + place) for place in range(2))
        return Block("dr12", plate, 55500, products, whole, tuple(fibers), exposures)

    blocks = [
        block(4000, range(1, 5), True), block(4000, range(501, 505), True), block(4001, [7]), block(4000, [3, 9]),
        block(4001, [8, 7]), block(4002, range(1, 4)),
    ]  # fmt: skip
    portions = list(spectra_by_plate(blocks))
    assert all(len({target.folder for target in portion}) == 1 for portion in portions)
    assert [target for portion in portions for target in portion] == single_spectra(blocks)
    assert len(portions) == 5
    assert list(spectra_by_plate([])) == []
