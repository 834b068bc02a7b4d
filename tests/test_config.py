"""The configuration: mistakes are one line each, naming the key and what would be right; its documents are current."""

import copy
import dataclasses
import json
import re
import shutil
import time
from collections import OrderedDict

import jsonschema
import pytest
import yaml
from astropy.table import Table
from conftest import REPOSITORY

from bosscal.base.errors import UserError
from bosscal.figures.kinds import PANELS
from bosscal.figures.style import Look
from bosscal.noise.laws import LAWS
from bosscal.run import configuration
from bosscal.run.configuration import Configuration, Data, TargetEntry, read_configuration
from bosscal.run.releases import citation, read_releases
from bosscal.run.tables import read_target_table
from bosscal.survey.paths import mask_bits
from bosscal.survey.targets import parse_requests

RELEASES = read_releases(REPOSITORY / "workflow/releases.yaml", LAWS)
DEFAULT = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
ENTRY = {"plate": 6641, "fibers": [1]}
NAMES = ", ".join(RELEASES)


def check(config):
    return read_configuration(config, RELEASES, mask_bits())


def changed(key, value, where=()):
    config = copy.deepcopy(DEFAULT)
    inner = config
    for part in where:
        inner = inner[part]
    inner[key] = value
    return config


def complaints(config):
    with pytest.raises(UserError) as caught:
        check(config)
    return str(caught.value).splitlines()


def test_shipped_configuration_is_valid():
    """Protects the default run, which lists the tutorial's five figures."""
    config = check(DEFAULT)
    assert sum(len(target.fibers) * len(target.bands) for target in config.targets) == 5


def test_defaults_are_filled_in():
    """Protects short configurations: a release, a plate and fibers are enough; an empty key is one left out."""
    empty = {"mjd": None, "bands": None, "exposures": None, "products": None, "release": None}
    for data, keys in ((None, {}), ({}, empty), ({"url": None, "mirror": None}, {})):
        config = check({"release": "dr12", "data": data, "targets": [{"plate": 6641, "fibers": "all"} | keys]})
        assert config.model_dump() == {
            "release": "dr12",
            "data": {"url": None, "mirror": None},
            "targets": (
                {
                    "release": "dr12", "plate": 6641, "mjd": None, "fibers": "all", "bands": ("blue", "red"),
                    "exposures": (0,), "products": "frames",
                    "coadd": (),
                },
            ),
            "table": None,
            "query": None,
            "mask_allow": (),
            "figures": {
                "formats": ("png", "pdf"), "page_width": 7.0, "column_width": 3.35, "panels": None, "limits": "data",
                "title": True,
            },
            "keep_intermediates": True,
        }  # fmt: skip


TARGET = ("targets", 0)


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (changed("relase", "dr12"), "relase: unknown key; did you mean 'release'?"),
        (changed("fibres", [1], TARGET), "targets[0].fibres: unknown key; did you mean 'fibers'?"),
        (changed("urll", None, ("data",)), "data.urll: unknown key; did you mean 'url'? (known here: url, mirror)"),
        (changed(12, 1, TARGET), "targets[0].12: unknown key (known here: release, plate, mjd, fibers, bands,"),
        (changed("release", "dr11"), "release: 'dr11' is not known"),
        (changed("release", "drr12-sequel"), "release: 'drr12-sequel' is not known; did you mean 'dr12-sequels'?"),
        (changed("release", "release"), f"release: 'release' is not known (known: {NAMES})"),
        (changed("release", 11), "release: '11' is not known"),
        (changed("release", 12.0), f"release: 12.0 is not allowed; give name of a release: {NAMES}"),
        (changed("release", True), f"release: True is not allowed; give name of a release: {NAMES}"),
        (changed("release", "v5_7_0"), "release: 'v5_7_0' is a reduction, and not a release; give dr12 (known: "),
        (changed("release", "dr18", TARGET), "targets[0].release: 'dr18' is not known; did you mean 'dr1"),
        (changed("data", "/mirror"), "data: '/mirror' is not allowed; give where the survey's files come from"),
        (changed("url", "ftp://example.org", ("data",)), "data.url: 'ftp://example.org' is not allowed; give server"),
        (changed("url", ["https://example.org"], ("data",)), "data.url: ['https://example.org'] is not allowed"),
        (changed("url", {"dr12": "example.org"}, ("data",)), "data.url.dr12: 'example.org' is not allowed; give serv"),
        (changed("url", {"dr21": "http://a"}, ("data",)), "data.url: 'dr21' is not known; did you mean 'dr1"),
        (
            changed("url", {"dr12": "http://a", "DR12": "http://b"}, ("data",)),
            "data.url: 'dr12' and 'DR12' are the same release; remove one",
        ),
        (changed("mirror", "", ("data",)), "data.mirror: '' is not allowed; give folder for the local copies"),
        (changed("targets", []), "targets: [] is not allowed; give what to analyse"),
        (changed("targets", ENTRY), "targets: {'plate': 6641, 'fibers': [1]} is not allowed; give what to analyse"),
        (changed("targets", [None]), "targets[0]: nothing is not allowed; give what to analyse"),
        ({"release": "sim"}, "targets: missing; give what to analyse"),
        ({"release": "sim", "targets": None}, "targets: missing; give what to analyse"),
        ({"release": "sim", "targets": [{"plate": 6641}]}, "targets[0].fibers: missing; give list of fiber numbers"),
        ({"targets": [ENTRY]}, f"release: missing; give name of a release: {NAMES}"),
        (
            {"targets": [ENTRY | {"release": "dr12"}, ENTRY]},
            f"release: missing; give name of a release: {NAMES}; or one in every target (targets[1] has none)",
        ),
        (changed("plate", 266, TARGET), "targets[0].plate: 266 is not allowed; give plate number, 3510 or more"),
        (changed("plate", "6641", TARGET), "targets[0].plate: '6641' is not allowed"),
        (changed("plate", True, TARGET), "targets[0].plate: True is not allowed"),
        (changed("plate", 6641.0, TARGET), "targets[0].plate: 6641.0 is not allowed"),
        (changed("plate", None, TARGET), "targets[0].plate: missing; give plate number"),
        (changed("mjd", 45000, TARGET), "targets[0].mjd: 45000 is not allowed; give night of the observation"),
        (changed("fibers", [0], TARGET), "targets[0].fibers[0]: 0 is not allowed; give list of fiber numbers 1-1000"),
        (changed("fibers", [5, 1001], TARGET), "targets[0].fibers[1]: 1001 is not allowed"),
        (changed("fibers", [5, True], TARGET), "targets[0].fibers[1]: True is not allowed"),
        (changed("fibers", [5, None], TARGET), "targets[0].fibers[1]: nothing is not allowed"),
        (changed("fibers", ["1 to 5"], TARGET), "targets[0].fibers[0]: '1 to 5' is not allowed"),
        (changed("fibers", [7, "5-2"], TARGET), "targets[0].fibers[1]: '5-2' is no fiber or range of fibers within"),
        (changed("fibers", ["0-3"], TARGET), "targets[0].fibers[0]: '0-3' is no fiber or range of fibers within 1-100"),
        (changed("fibers", ["990-1001"], TARGET), "targets[0].fibers[0]: '990-1001' is no fiber or range of fibers"),
        (changed("fibers", [3, "1-5"], TARGET), "targets[0].fibers: 3 is listed twice; remove one"),
        (changed("fibers", [], TARGET), "targets[0].fibers: [] is not allowed"),
        (changed("fibers", "al", TARGET), "targets[0].fibers: 'al' is not allowed; give list of fiber numbers 1-1000"),
        (changed("fibers", 5, TARGET), "targets[0].fibers: 5 is not allowed; give list of fiber numbers 1-1000"),
        (changed("bands", ["green"], TARGET), "targets[0].bands[0]: 'green' is not allowed; give one of blue, red"),
        (changed("bands", "blue", TARGET), "targets[0].bands: 'blue' is not allowed; give one of blue, red, or both"),
        (changed("bands", ["red", "red"], TARGET), "targets[0].bands: 'red' is listed twice; remove one"),
        (changed("exposures", [-1], TARGET), "targets[0].exposures[0]: -1 is not allowed"),
        (changed("exposures", [0, 1, 0], TARGET), "targets[0].exposures: 0 is listed twice; remove one"),
        (changed("products", "frame", TARGET), "targets[0].products: 'frame' is not allowed; give frames"),
        (
            changed("mask_allow", ["BRIGHTSKI"]),
            "mask_allow: 'BRIGHTSKI' is no SPPIXMASK bit; did you mean 'BRIGHTSKY'?",
        ),
        (changed("mask_allow", [3]), "mask_allow[0]: 3 is not allowed; give list of SPPIXMASK bits"),
        (changed("mask_allow", ["BRIGHTSKY"] * 2), "mask_allow: 'BRIGHTSKY' is listed twice; remove one"),
    ],
)
def test_each_mistake_is_one_line(config, line):
    """Protects users from tracebacks: every mistake names its key and what would be right."""
    lines = complaints(config)
    assert len(lines) == 1
    assert lines[0].startswith(line)
    assert not re.search(r"`|\{releases\}", lines[0])


def test_all_mistakes_are_reported_at_once():
    """Protects against fixing one mistake only to be told of the next."""
    config = changed("plate", 266, TARGET) | {"release": "dr11", "typo": 1}
    config["targets"].append({"fibers": ["9-1", 0], "release": "dr11"})
    lines = complaints(config)
    assert sorted(line.partition(":")[0] for line in lines) == [
        "release", "targets[0].plate", "targets[2].fibers[0]", "targets[2].fibers[1]", "targets[2].plate",
        "targets[2].release", "typo",
    ]  # fmt: skip
    assert [line.partition(";")[0] for line in complaints({"targets": [{"plate": 1, "fibers": "all"}]})] == [
        "release: missing",
        "targets[0].plate: 1 is not allowed",
    ]


def test_numbers_in_quotes_are_told_so():
    """Protects users who see no difference between 6641 and '6641'."""
    (line,) = complaints(changed("plate", "6641", TARGET))
    assert line.endswith("; without quotes: 6641")


def test_long_lists_are_fast_and_their_mistakes_counted():
    """Protects a configuration made by a program: 100000 fibers take no seconds, and no screens of the same line."""
    begin = time.perf_counter()
    assert complaints(changed("fibers", list(range(1, 1001)) * 100, TARGET)) == [
        "targets[0].fibers: 1 is listed twice; remove one"
    ]
    assert complaints(changed("fibers", ["1-1000"] * 100_000, TARGET)) == [
        "targets[0].fibers: 1 is listed twice; remove one"
    ]
    lines = complaints(changed("fibers", list(range(1, 100_001)), TARGET))
    assert len(lines) == 51
    assert lines[0].startswith("targets[0].fibers[1000]: 1001 is not allowed")
    assert lines[-1] == "… and 98950 more of these"
    assert time.perf_counter() - begin < 5
    (line,) = complaints(changed("mirror", ["x" * 10_000], ("data",)))
    assert len(line) < 300


def test_release_names_may_have_any_capitals():
    """Protects DR12 and dr12 from being two releases: there is one spelling behind the configuration."""
    config = check(
        {
            "release": "Dr12-SEQUELS",
            "data": {"url": {"DR12": "https://example.org", "sim": None}},
            "targets": [ENTRY | {"plate": 7512}, ENTRY | {"release": "SIM"}],
        }
    )
    assert config.release == "dr12-sequels"
    assert config.data.url == {"dr12": "https://example.org", "sim": None}
    assert [target.release for target in config.targets] == ["dr12-sequels", "sim"]
    assert config.releases == ("dr12-sequels", "sim")


def test_every_target_may_name_its_release():
    """Protects configurations that compare releases: none is above the others, and each is listed once."""
    config = check({"targets": [ENTRY | {"release": name} for name in ("dr14", "dr12", "dr14")]})
    assert config.release is None
    assert config.releases == ("dr14", "dr12")


def test_merged_configurations_are_read():
    """Protects what Snakemake passes: ordered mappings, merged from several files."""
    config = OrderedDict(release="sim", data=OrderedDict(url=OrderedDict(sim="http://a")), targets=[OrderedDict(ENTRY)])
    assert check(config).data == Data(url={"sim": "http://a"})


def test_configuration_does_not_change():
    """Protects later rules from what an earlier one might do to the configuration; checked values are read again."""
    config = check(DEFAULT)
    with pytest.raises(ValueError, match="frozen"):
        config.targets[0].plate = 5
    for target in config.targets:
        assert TargetEntry.model_validate(target.model_dump()) == target
        assert TargetEntry.model_validate(json.loads(json.dumps(target.model_dump()))) == target


# ------------------------------------------------------------------------------------------------------ documents


def fields(model):
    return [(model.__name__, name, field) for name, field in model.model_fields.items()]


FIELDS = [*fields(Configuration), *fields(Data), *fields(TargetEntry)]


@pytest.mark.parametrize(("model", "name", "field"), FIELDS, ids=[f"{model}.{name}" for model, name, _ in FIELDS])
def test_every_key_is_described(model, name, field):
    """Protects messages, schema and table, which are made of the descriptions."""
    assert field.description, f"{model}.{name}"
    assert "|" not in field.description, "would end a cell of the table"


def test_documents_are_current(tmp_path, monkeypatch, capsys):
    """Protects the schema and README.md's table from saying other than the code: both are as `make docs` makes them."""
    for name in (configuration.SCHEMA, configuration.README, configuration.RELEASES):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    assert configuration.write_documents(tmp_path, LAWS) == []
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    (tmp_path / "README.md").write_text(readme.replace("| `targets[].mjd` |", "| `targets[].night` |"))
    (tmp_path / configuration.SCHEMA).unlink()
    assert configuration.write_documents(tmp_path, LAWS) == [configuration.SCHEMA, "README.md"]
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == readme
    monkeypatch.chdir(tmp_path)
    configuration.main()
    (tmp_path / configuration.SCHEMA).unlink()
    configuration.main()
    assert capsys.readouterr().out == f"up to date\nwritten: {configuration.SCHEMA}\n"


def test_table_lists_every_key_and_release():
    """Protects README.md's table: every key with its default, and every release with its reduction."""
    rows = [line.split(" | ") for line in configuration.make_table(RELEASES).splitlines()[2:]]
    assert [row[0].strip("|` ") for row in rows] == [
        "release", "data.url", "data.mirror", "targets[].release", "targets[].plate", "targets[].mjd",
        "targets[].fibers", "targets[].bands", "targets[].exposures", "targets[].products", "targets[].coadd[].name",
        "targets[].coadd[].exposures", "targets[].coadd[].cameras", "table",
        *(f"query.{key}" for key in ("release", "plates", "mjd", "quality", "programmes", "ra", "dec", "fibers")),
        "query.bands", "query.exposures", "query.products", "mask_allow",
        *(f"figures.{key}" for key in ("formats", "page_width", "column_width", "panels", "limits", "title")),
        "keep_intermediates",
    ]  # fmt: skip
    assert {len(row) for row in rows} == {3}
    assert all(row[2].strip("| ") for row in rows)
    assert all(f"`{name}` (" in rows[0][1] and release.run2d in rows[0][1] for name, release in RELEASES.items())


def test_table_needs_its_place():
    """Protects README.md from a table in the wrong place, or in two."""
    place = f"{configuration.TABLE_BEGIN}\n{configuration.TABLE_END}\n"
    assert configuration.put_table(f"a\n{place}b\n", "| x |\n") == (
        f"a\n{configuration.TABLE_BEGIN}\n\n| x |\n\n{configuration.TABLE_END}\nb\n"
    )
    for readme in ("", place * 2):
        with pytest.raises(ValueError, match="not one table"):
            configuration.put_table(readme, "")


def valid(config):
    try:
        check(config)
    except UserError:
        return False
    return True


@pytest.mark.parametrize(
    "config",
    [
        DEFAULT,
        {},
        {"targets": [ENTRY]},
        {"targets": [ENTRY | {"release": "dr12"}, ENTRY]},
        {"targets": [ENTRY | {"release": "dr12"}]},
        {"release": None, "targets": [ENTRY]},
        {"release": "sim", "targets": [ENTRY], "data": None, "mask_allow": None},
        changed("targets", []),
        changed("typo", 1),
        *(
            changed(key, value, ("data",))
            for key, value in (
                ("url", "file:///a"), ("url", "file://a"), ("url", {"dr12": "http://a", "sim": None}),
                ("url", {"dr12": "a"}), ("mirror", ""), ("typo", 1),
            )
        ),
        *(
            changed(key, value, TARGET)
            for key, value in (
                ("plate", 3510), ("plate", 3509), ("plate", "6641"), ("plate", True), ("plate", None), ("mjd", None),
                ("mjd", 45001), ("mjd", 45000), ("fibers", "all"), ("fibers", "5"), ("fibers", [1, "3-4"]),
                ("fibers", [1001]), ("fibers", ["3"]), ("fibers", []), ("fibers", [1, 1]), ("bands", None),
                ("bands", ["red"]), ("bands", ["red", "red"]), ("bands", "red"), ("exposures", "all"),
                ("exposures", [3, 0]), ("exposures", [-1]), ("exposures", []), ("products", "spec"), ("products", 1),
                ("typo", 1),
            )
        ),
    ],
    ids=str,
)  # fmt: skip
def test_schema_agrees_with_the_reader(config):
    """Protects editors that check by the schema: what they accept is read, and the reverse."""
    schema = yaml.safe_load((REPOSITORY / configuration.SCHEMA).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid(config) == valid(config)


# ---------------------------------------------------------------------------------------------- tables and queries


def rows_of(folder, text, name="plates.csv", release="dr12"):
    path = folder / name
    path.write_text(text)
    return read_target_table(path, RELEASES, release)


def test_a_table_is_a_list_of_targets(tmp_path):
    """Protects targets that a program writes: each row is what an entry of `targets` with its values is."""
    text = (
        "plate,mjd,fibers,bands,exposures,products\n4000,55300,1-20 486,blue,0;2,spec\n\n# a comment\n4001,,all,,all,\n"
    )
    entries, places = rows_of(tmp_path, text)
    first = {"plate": 4000, "mjd": 55300, "fibers": ["1-20", 486], "bands": ["blue"], "exposures": [0, 2]}
    second = {"plate": 4001, "fibers": "all", "exposures": "all"}
    expected = read_configuration({"release": "dr12", "targets": [first | {"products": "spec"}, second]}, RELEASES, [])
    assert tuple(entries) == expected.targets
    assert [place.removeprefix(str(tmp_path)) for place in places] == [
        "/plates.csv, row 1 (line 2)", "/plates.csv, row 2 (line 5)",
    ]  # fmt: skip


def test_a_table_may_be_ecsv(tmp_path):
    """Protects tables that astropy writes."""
    table = Table({"release": ["dr12", "DR14"], "plate": [4000, 7339], "fibers": ["1-20 486", "all"]})
    table.write(tmp_path / "plates.ecsv", format="ascii.ecsv")
    entries, _ = read_target_table(tmp_path / "plates.ecsv", RELEASES, None)
    assert [(entry.release, entry.plate, entry.fibers) for entry in entries] == [
        ("dr12", 4000, ("1-20", 486)), ("dr14", 7339, "all"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plate,fibers\n4000,1001\n", "row 1 (line 2), column fibers[0]: 1001 is not allowed; give list of fiber num"),
        ("plate,fibers\n4000,all\nx,all\n", "row 2 (line 3), column plate: 'x' is not allowed; give plate number"),
        ("plate,fibers,mjd\n4000,all,55.5\n", "row 1 (line 2), column mjd: '55.5' is not allowed"),
        ("plate,fibres\n4000,all\n", "plates.csv, column fibres: unknown; did you mean 'fibers'?"),
        ("plate,fibers,plate\n4000,all,1\n", "plates.csv, column plate: is there twice"),
        ("mjd\n55000\n", "plates.csv: column plate is missing"),
        ("plate,fibers\n4000,1,2\n", "row 1 (line 2): has 3 cells, the line of names has 2"),
        ("plate,fibers\n", "plates.csv: has no rows"),
        ("", "plates.csv: is empty"),
        ('plate,fibers\n4000,"1\n2"\n', "plates.csv: a quoted cell goes over several lines"),
        ("plate,fibers,release\n7382,all,dr12\n", "row 1 (line 2), column plate: plate 7382 is not in dr12; it is in"),
    ],
)
def test_a_mistake_in_a_table_names_file_row_and_column(tmp_path, text, message):
    """Protects whoever has to find one wrong cell among thousands."""
    with pytest.raises(UserError, match=re.escape(message)):
        rows_of(tmp_path, text)


def test_a_row_without_a_release_is_named(tmp_path):
    """Protects a table beside which no release is given."""
    with pytest.raises(UserError, match=re.escape("row 1 (line 2), column release: missing")):
        rows_of(tmp_path, "plate,fibers\n4000,all\n", release=None)


@pytest.mark.slow
def test_thousands_of_rows_take_seconds(tmp_path):
    """Protects the survey, and its mistakes: 100,000 rows, of which each is wrong the second time."""
    rows = [f"{4000 + fiber // 1000},{fiber % 1000 + 1}" for fiber in range(100_000)]
    begin = time.perf_counter()
    assert len(rows_of(tmp_path, "plate,fibers\n" + "\n".join(rows))[0]) == 100_000
    with pytest.raises(UserError) as caught:
        rows_of(tmp_path, "plate,fibers\n" + "\n".join(f"{row}000000" for row in rows))
    assert time.perf_counter() - begin < 30
    assert len(str(caught.value).splitlines()) == 51


def test_repeated_rows_are_named(tmp_path):
    """Protects from the same spectrum twice, in the table or in it and in the configuration."""
    entries, places = rows_of(tmp_path, "plate,fibers\n4000,all\n4001,1-5\n4001,3\n")
    own = read_configuration({"release": "dr12", "targets": [{"plate": 4000, "fibers": "all"}]}, RELEASES, []).targets
    with pytest.raises(UserError) as caught:
        parse_requests([*own, *entries], places)
    first, second = str(caught.value).splitlines()
    assert re.search(r"row 1 \(line 2\): plate 4000 fiber 1 blue is listed twice \(also in targets\[0\]\)", first)
    assert re.search(
        r"row 3 \(line 4\): plate 4001 fiber 3 blue is listed twice \(also in .*row 2 \(line 3\)\)", second
    )


def query(**keys):
    return {"release": "dr12", "query": keys}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"mjd": [55300, 55200]}, "query.mjd: [55300, 55200] ends before it begins; give the first and the last"),
        ({"plates": [4000]}, "query.plates[1]: missing; give first and last plate number"),
        ({"ra": [0, 400]}, "query.ra[1]: 400 is not allowed; give right ascension of the plate's center"),
        ({"quality": ["fair"]}, "query.quality[0]: 'fair' is not allowed; give list of qualities: good, marginal, bad"),
        ({"qualty": ["good"]}, "query.qualty: unknown key; did you mean 'quality'?"),
        ({"fibers": [1001]}, "query.fibers[0]: 1001 is not allowed"),
    ],
)
def test_mistakes_of_a_query_are_named(keys, message):
    """Protects a query as any other section."""
    assert complaints(query(**keys))[0].startswith(message)


def test_one_of_targets_table_and_query_is_needed():
    """Protects a configuration with a table alone, or a query alone; and says so where there is none."""
    assert read_configuration(query(), RELEASES, []).query.release == "dr12"
    assert read_configuration({"release": "dr12", "table": "plates.csv"}, RELEASES, []).targets == ()
    (line,) = complaints({"release": "dr12"})
    assert line == "targets: missing; give what to analyse: a list with an entry for each plate"
    assert complaints({"query": {}})[0].startswith("release: missing")


def test_every_release_says_what_to_cite():
    """Protects who publishes: each release with real data has its papers, its survey's and its own among them, and
    the acknowledgment of the survey that its title names; simulated data have none."""
    surveys = {"SDSS-III": ("Eisenstein et al. 2011", "sdss3.org"), "SDSS-IV": ("Blanton et al. 2017", "sdss4.org")}
    own = {
        "12": "Alam et al. 2015", "13": "Albareti et al. 2017", "14": "Abolfathi et al. 2018",
        "15": "Aguado et al. 2019", "16": "Ahumada et al. 2020", "17": "Abdurro'uf et al. 2022",
    }  # fmt: skip
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for name, release in RELEASES.items():
        lines = citation(release)
        if release.url is None:
            assert lines == ["simulated plate: simulated data; there is nothing to cite"]
            continue
        survey, server = surveys[release.title.split()[0]]
        assert lines[1].strip().startswith(survey)
        assert lines[-2].strip().startswith(own[name[2:4]])
        assert all(re.search(r", doi:10\.\d{4}/\S+$", line) for line in lines[1:-1])
        assert server in lines[-1]
        assert release.acknowledgment in readme
    mine = RELEASES["dr12"].model_copy(update={"title": "mine", "papers": (), "acknowledgment": None})
    assert citation(mine) == ["mine: not known what to cite"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"formats": ["pdf"]}, "figures.formats: png is missing: the report shows it; add it to the list"),
        ({"formats": ["png", "eps"]}, "figures.formats[1]: 'eps' is not allowed; give list of the formats"),
        ({"formats": ["png", "png"]}, "figures.formats: 'png' is listed twice; remove one"),
        (
            {"page_width": 3},
            "figures.page_width: 3.0 is not allowed; give width of figures of several panels [inch], 6.8 to 7.6",
        ),
        ({"panels": ["noise", "fluks"]}, "figures.panels: 'fluks' is no panel; did you mean 'flux'?"),
        ({"limits": "tutorials"}, "figures.limits: 'tutorials' is not allowed; give data: axes hold all"),
    ],
)
def test_mistakes_about_figures_are_named(keys, message):
    """Protects whoever prepares a paper from figures that are not as they were meant."""
    with pytest.raises(UserError) as caught:
        read_configuration(DEFAULT | {"figures": keys}, RELEASES, mask_bits(), panels=PANELS)
    assert str(caught.value).startswith(message)


def test_what_is_chosen_of_figures_is_what_they_are_drawn_with():
    """Protects the way from the configuration to the figures: all keys but the formats are those of the look."""
    chosen = read_configuration(
        DEFAULT | {"figures": {"page_width": 7, "panels": ["flux"], "title": False}}, RELEASES, [], panels=PANELS
    ).figures
    assert (chosen.page_width, chosen.panels, chosen.title) == (7.0, ("flux",), False)
    known = {field.name: field.default for field in dataclasses.fields(Look)}
    defaults = Configuration.model_fields["figures"].default.model_dump(exclude={"formats"})
    assert defaults | {"panels": ()} == known
