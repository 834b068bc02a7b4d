"""What users write: YAML files and the command line. Nothing ends in a traceback, and no target is lost in silence."""

import json
import os
import random
import re
import time

import pytest
import yaml
from conftest import REPOSITORY

from bosscal.base.errors import UserError
from bosscal.noise.laws import LAWS
from bosscal.run.configuration import read_configuration
from bosscal.run.releases import read_releases
from bosscal.run.sources import contradictions, source_of
from bosscal.run.written import check_command_line, named, read_written
from bosscal.survey.paths import mask_bits
from bosscal.survey.targets import parse_requests

RELEASES = read_releases(REPOSITORY / "workflow/releases.yaml", LAWS)
GOOD = "release: sim\ntargets:\n  - plate: 6641\n    mjd: 56383\n    fibers: [1]\n"


def checked(files=(), arguments=(), environment=None, **options):
    """All that happens before the first job: (configuration, requests, sources)."""
    written = read_written(files, arguments, **options)
    configuration = read_configuration(written.values, RELEASES, mask_bits(), written)
    requests = parse_requests(configuration.targets)
    sources = {
        name: source_of(name, RELEASES[name], configuration.data, environment or {}, written)
        for name in configuration.releases
    }
    return configuration, requests, sources


def complaints(*arguments, **options):
    with pytest.raises(UserError) as caught:
        checked(*arguments, **options)
    return str(caught.value).splitlines()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder that a user works in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def target(line):
    """A configuration with one line more of its target; this is line 6."""
    return GOOD + f"    {line}\n"


def with_fibers(fibers):
    """A configuration with other fibers; they begin in line 3, column 40."""
    return f"release: dr12\ntargets:\n  - {{plate: 6641, mjd: 56383, fibers: {fibers}}}\n"


PLACE = "config.yaml, line "
TWICE = ", and one would be lost; keep one"
UTF_8 = "save it in UTF-8"
# What a file holds, text or bytes, to the line that the user sees or its beginning.
BY_HAND = [
    # nothing, or no keys
    ("", "config.yaml: is empty; write at least release: NAME and targets: with a list"),
    ("\n \n", "config.yaml: is empty; write at least"),
    ("# release: sim\n", "config.yaml: has nothing in it but comments; write at least"),
    ("---\n", "config.yaml: has nothing in it but comments; write at least"),
    ("null\n", "config.yaml: has nothing in it but comments; write at least"),
    ("- release: sim\n", PLACE + "1, column 1: a list, where keys are wanted; write at least release: NAME"),
    ("[]", PLACE + "1, column 1: a list, where keys are wanted"),
    ("release", PLACE + "1, column 1: a value alone, where keys are wanted; write at least"),
    ("release:sim\n", PLACE + "1, column 1: a value alone, where keys are wanted (a colon needs a blank after it)"),
    ("12\n", PLACE + "1, column 1: a value alone, where keys are wanted"),
    # tabs, brackets, quotes, indentation
    (GOOD.replace("    mjd", "\tmjd"), PLACE + "4, column 1: a tab, where YAML wants blanks; indent and separate with"),
    (GOOD.replace("release: ", "release:\t"), PLACE + "1, column 9: a tab, where YAML wants blanks"),
    ("release: sim\ntargets: [\n", PLACE + "2, column 10: the bracket that opens here is not closed; close it"),
    (
        "release: sim\ntargets: [{plate: 6641,\nmask_allow: [a]\n",
        PLACE + "2, column 11: the bracket { that opens here is not closed; close it with }",
    ),
    (with_fibers("[1, 2"), PLACE + "3, column 44: a comma or the ] of the list that opens in line 3 is missing before"),
    ("release: sim\ntargets: ]\n", PLACE + "2, column 10: ] has nothing before it that it closes or belongs to"),
    (with_fibers("[1,,2]"), PLACE + "3, column 42: , has nothing before it that it closes or belongs to"),
    ("release: 'sim\ntargets: []\n", PLACE + "1, column 10: the quote that opens here is not closed; close it"),
    ('release: "sim\n', PLACE + "1, column 10: the quote that opens here is not closed; close it"),
    ("release: 'it's'\n", PLACE + "1, column 14: text after the end of a value; check the quotes before it"),
    (
        'data: {mirror: "C:\\qata"}\n',
        PLACE + "1, column 20: in double quotes, unknown escape character 'q'; write \\\\",
    ),
    (GOOD + "   bands: [red]\n", PLACE + "6, column 4: the indentation does not fit the lines above; begin keys of"),
    (GOOD + "  mask_allow: []\n", PLACE + "6, column 3: the indentation does not fit the lines above"),
    (GOOD + "  products\n", PLACE + "6, column 3: "),
    ("release: sim\n  targets: []\n", PLACE + "2, column 10: a colon where no key can be; check the indentation, or"),
    ("release: data: sim\n", PLACE + "1, column 14: a colon where no key can be"),
    (GOOD + "mask_allow\n", PLACE + "6, column 1: this line has no colon; write key: value, or - value in a list"),
    ("release: @sim\n", PLACE + "1, column 10: no value can begin with '@'; put it in quotes"),
    ("release: `sim`\n", PLACE + "1, column 10: no value can begin with '`'; put it in quotes"),
    ("%release: sim\n", PLACE + "1, column 9: no line can begin with % here; put it in quotes, or delete the line"),
    (": sim\n", PLACE + "1, column 1: : has nothing before it that it closes or belongs to"),
    ("? [release]\n: sim\n", PLACE + "1, column 3: a key has to be a word; write key: value"),
    ("'': sim\n", PLACE + "1, column 1: a key has to be a word; write key: value"),
    # twice
    (GOOD + "---\n" + GOOD, PLACE + "6, column 1: a second document begins here; keep one, and delete the line ---"),
    (GOOD + "targets: []\n", PLACE + f"6, column 1: 'targets' is there twice (first in line 2){TWICE}"),
    (target("plate: 6641"), PLACE + f"6, column 5: 'plate' is there twice (first in line 3){TWICE}"),
    (GOOD + "'release': sim\n", PLACE + f"6, column 1: 'release' is there twice (first in line 1){TWICE}"),
    (
        "data: {url: {dr12: 'http://a', dr12: 'http://b'}}\n",
        PLACE + f"1, column 32: 'dr12' is there twice (first in line 1){TWICE}",
    ),
    (
        target("products: spec") + "    coadd:\n      - {name: a, name: b}\n",
        PLACE + f"8, column 19: 'name' is there twice (first in line 8){TWICE}",
    ),
    (
        "data: {url: {dr12: 'http://a', 12: 'http://b'}}\nrelease: sim\ntargets: [{plate: 6641, fibers: all}]\n",
        "data.url: 'dr12' and '12' are the same release; remove one (config.yaml, line 1, column 8)",
    ),
    (
        GOOD + "  - {plate: 6641, mjd: 56383, fibers: [1]}\n",
        "targets[1]: plate 6641 fiber 1 blue is listed twice (also in targets[0]); remove one",
    ),
    # bytes
    (GOOD.encode("utf-16"), f"config.yaml: is in UTF-16 or UTF-32; {UTF_8}"),
    (GOOD.encode("utf-16-be"), f"config.yaml: is in UTF-16 or UTF-32; {UTF_8}"),
    (GOOD.encode("utf-32"), f"config.yaml: is in UTF-16 or UTF-32; {UTF_8}"),
    (
        b"release: sim\ndata: {mirror: Gr\xf6\xdfe}\n",
        PLACE + "2, column 18: the byte 0xf6 is no UTF-8; save the file in UTF-8",
    ),
    ("# ß\n# ßß".encode() + b"\xff", PLACE + "2, column 5: the byte 0xff is no UTF-8"),
    (b"release: sim\0\n", PLACE + "1, column 13: the character U+0000 cannot be in YAML; delete it"),
    (b"\0", PLACE + "1, column 1: the character U+0000 cannot be in YAML"),
    ("release: si\x1bm\n", PLACE + "1, column 12: the character U+001B cannot be in YAML"),
    ('data: {mirror: "a\\0b"}\n', PLACE + "1, column 16: 'a\\x00b' has the character U+0000 in it; write it on one"),
    ("data:\n  mirror: |\n    a\n", PLACE + "2, column 11: 'a\\n' has a line break in it; write it on one line"),
    ('data: {mirror: "\\UFFFFFFFF"}\n', PLACE + "1, column 19: is no YAML (Python int too large"),
    # tags, anchors, depth
    (
        "release: !!python/object/apply:os.system ['touch here']\n",
        PLACE + "1, column 10: the tag !!python/object/apply:os.system is not allowed; leave it out, and write the",
    ),
    ("release: !!python/name:os.system\n", PLACE + "1, column 10: the tag !!python/name:os.system is not allowed"),
    ("!!python/object:os.x {a: 1}\n", PLACE + "1, column 1: the tag !!python/object:os.x is not allowed"),
    ("release: !env HOME\n", PLACE + "1, column 10: the tag !env is not allowed"),
    (with_fibers("!!set {1}"), PLACE + "3, column 39: the tag !!set is not allowed"),
    (
        "release: *sim\n",
        PLACE + "1, column 10: *sim is nowhere defined, as &sim; put text that begins with * in quotes",
    ),
    ("release: &a [*a]\n", PLACE + "1, column 10: an alias leads back to what it is in; write out what is meant"),
    ("release: " + "[" * 100_000, PLACE + "1, column "),
    ("release:\n" + "- " * 5_000, PLACE + "2, column "),
    ("__use_yte__: true\n" + GOOD, PLACE + "1, column 1: __use_yte__ would run parts of the file as Python; write"),
    # what is read as something else
    (with_fibers("[1:30]"), PLACE + '3, column 40: YAML reads 1:30 as 90, counting in sixties; write "1-30" for a r'),
    (with_fibers("[0123]"), PLACE + "3, column 40: YAML reads 0123 as 83, in octal; write 123 or 83"),
    (with_fibers("[08]"), "targets[0].fibers[0]: '08' is not allowed; give list of fiber numbers"),
    (with_fibers("yes"), "targets[0].fibers: yes, which YAML reads as true, is not allowed; give list of fiber"),
    (with_fibers("[1e3]"), "targets[0].fibers[0]: '1e3' is not allowed"),
    (with_fibers("[0x7fff]"), "targets[0].fibers[0]: 0x7fff, which YAML reads as 32767, is not allowed"),
    (with_fibers("[1_001]"), "targets[0].fibers[0]: 1_001, which YAML reads as 1001, is not allowed"),
    (with_fibers("[.inf]"), "targets[0].fibers[0]: .inf, which YAML reads as inf, is not allowed"),
    (with_fibers("[~]"), "targets[0].fibers[0]: nothing is not allowed"),
    (with_fibers("[1-1001]"), "targets[0].fibers[0]: '1-1001' is no fiber or range of fibers within 1-1000 (config"),
    (with_fibers("9" * 5000), PLACE + "3, column 39: a number of 5000 characters; write a shorter one"),
    ("release: no\n", "release: no, which YAML reads as false, is not allowed; give name of a release: sim"),
    ("release: 11\n", "release: '11' is not known"),
    (
        GOOD.replace("56383", "2013-04-02"),
        "targets[0].mjd: 2013-04-02, which YAML reads as a date, is not allowed; give night of the observation: "
        "its MJD (config.yaml, line 4, column 5)",
    ),
    (GOOD.replace("56383", "2013-13-02"), PLACE + "4, column 10: YAML reads 2013-13-02 as a date, and there is none"),
    (GOOD.replace("6641", "06641"), PLACE + "3, column 12: YAML reads 06641 as 3489, in octal; write 6641 or 3489"),
    (GOOD.replace("6641", "'6641'"), "targets[0].plate: '6641' is not allowed; give plate number"),
    (GOOD.replace("6641", "6641.0"), "targets[0].plate: 6641.0 is not allowed; give plate number, 3510 or more"),
    ("data: {mirror: 2013-04-02}\n", "data.mirror: 2013-04-02, which YAML reads as a date, is not allowed; give fo"),
    # keys and values
    (GOOD.replace("fibers", "fibres"), "targets[0].fibres: unknown key; did you mean 'fibers'?"),
    (
        GOOD + "yes: 1\n",
        "yes: unknown key (known here: release, data, targets, table, query, mask_allow, figures, keep_intermediates) ",
    ),
    (GOOD + "x" * 900 + ": 1\n", "x" * 100 + "…: unknown key"),
    (
        GOOD.replace("    fibers: [1]\n", ""),
        'targets[0].fibers: missing; give list of fiber numbers 1-1000 and "1-20" ranges, or all (config.yaml, line 3',
    ),
    ("targets: [{plate: 6641, fibers: all}, {release: sim, plate: 6641, fibers: [1]}]\n", "release: missing; give na"),
    (GOOD + "data: {mirror: $NOWHERE/x}\n", "data.mirror: '$NOWHERE/x' has $NOWHERE, which is not set; set it, or"),
    (GOOD + "data: {mirror: '${HOME'}\n", "data.mirror: '${HOME' has a $ that begins no variable; write $NAME or"),
    (GOOD + "data: {mirror: ~nobodyatall/x}\n", "data.mirror: '~nobodyatall/x' has ~nobodyatall, which is nobody's ho"),
    (
        GOOD + "data: {mirror: /dev/null}\n",
        "data.mirror: '/dev/null' is no folder; give one, which need not be there y",
    ),
    (GOOD + "data: {mirror: 'https://a.org'}\n", "data.mirror: 'https://a.org' is an address; give a folder here, a"),
    (GOOD + "data: {url: file://$NOWHERE/x}\n", "data.url: '$NOWHERE/x' has $NOWHERE, which is not set; set it, or wr"),
    (GOOD + "data: {url: {sim: $HOME}}\n", "data.url.sim: '$HOME', which is '/people/me', is not allowed; give server"),
    (GOOD + "data: {url: 'https://a b'}\n", "data.url: 'https://a b' is not allowed; give server or mirror"),
    (
        "release: DR 12\ntargets:\n  - {plate: 7512, fibers: all}\n",
        "targets[0].plate: plate 7512 is not in dr12; it is in dr12-sequels: give release: dr12-sequels (config.yaml, "
        "line 3, column 6)",
    ),
    ("release: 12\ntargets: [{plate: 7339, mjd: 56768, fibers: all}]\n", "targets[0].plate: plate 7339 of 56768 is n"),
    ("release: sequels\n", "release: 'sequels' is not known; did you mean 'dr12-sequels'?"),
    (
        "release: dr12 sequels\ntargets: [{plate: 6641, fibers: all}]\n",
        "targets[0].plate: plate 6641 is not in dr12-sequels; it is in dr12: give release: dr12",
    ),
    ("release: v5_10_0\n", "release: 'v5_10_0' is a reduction, and not a release; give dr14 or dr15 (known: "),
]


@pytest.mark.parametrize(("content", "line"), BY_HAND, ids=range(len(BY_HAND)))
def test_a_mistake_in_the_file_is_one_line(folder, content, line):
    """Protects users from tracebacks, and from targets that are lost: 90 files, and the line that each is worth."""
    (folder / "config.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    lines = complaints(environment={"HOME": "/people/me"})
    found = [each for each in lines if each.startswith(line)]
    assert found, lines
    assert len(lines) == 1 or line.startswith(("release: ", "data.", "yes", "x", "targets[0].fibres")), lines
    for each in lines:
        assert each.isprintable()
        assert len(each) < 500
    assert not (folder / "here").exists()
    # The same file under another name, as --configfile has it.
    os.replace(folder / "config.yaml", folder / "NAME.yaml")
    renamed = complaints(["NAME.yaml"], environment={"HOME": "/people/me"})
    assert [each.replace("NAME.yaml", "config.yaml") for each in renamed] == lines


def test_files_that_cannot_be_read_are_named(folder):
    """Protects users from a traceback for a name that is no file."""
    assert complaints() == [f"config.yaml: no such file; check the name and the folder ({folder})"]
    (folder / "config.yaml").symlink_to("nowhere")
    assert complaints()[0].startswith("config.yaml: no such file")
    (folder / "config.yaml").unlink()
    (folder / "config.yaml").mkdir()
    assert complaints() == ["config.yaml: is a folder; give a YAML file"]
    (folder / "config.yaml").rmdir()
    os.mkfifo(folder / "config.yaml")
    assert complaints() == ["config.yaml: is no regular file; every job reads the configuration, so save it in one"]
    assert complaints(["nope.yaml", os.devnull])[1:] == [
        f"nope.yaml: no such file; check the name and the folder ({folder})",
        f"{os.devnull}: is no regular file; every job reads the configuration, so save it in one",
    ]
    assert complaints(["x" * 300])[1].startswith("x" * 300 + ": cannot be read (File name too long); check its perm")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(folder):
    """Protects users from a traceback where they may not read."""
    (folder / "config.yaml").write_text(GOOD)
    (folder / "config.yaml").chmod(0)
    assert complaints() == ["config.yaml: cannot be read (Permission denied); check its permissions and its name"]


def bomb(opening, item, closing):
    """Nine lines of which each is ten times the one before."""
    lines = [f"a0: &a0 {opening}{item(0, '1')}{closing}"]
    lines += [
        f"a{line}: &a{line} {opening}{', '.join(item(column, f'*a{line - 1}') for column in range(10))}{closing}"
        for line in range(1, 10)
    ]
    return "\n".join(lines)


@pytest.mark.parametrize("text", [
    bomb("[", lambda column, value: value, "]"), bomb("{", lambda column, value: f"k{column}: {value}", "}"),
])  # fmt: skip
def test_aliases_make_no_giants(folder, text):
    """Protects memory from ten lines that come to a thousand million values."""
    begin = time.perf_counter()
    (folder / "config.yaml").write_text(text)
    assert complaints() == [
        "config.yaml, line 1, column 1: aliases repeat more than 100000 values; write out what is meant"
    ]
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize(
    "content",
    [
        GOOD, "\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), "%YAML 1.1\n---\n" + GOOD + "...\n", "# Größe\n" + GOOD,
        '{"release":\t"sim", "targets": [\n\t{"plate": 6641, "mjd": 56383, "fibers": [1]}]}',
        "release: sim\ntargets: &t\n- &e {plate: 6641, mjd: 56383, fibers: [1]}\n",
        "release: !!str sim\ntargets: [{plate: 0x19f1, mjd: 56_383, fibers: [\"1-1\"]}]\n",
    ],
    ids=range(8),
)  # fmt: skip
def test_what_is_right_is_read(folder, content):
    """Protects files from other editors and programs: a byte-order mark, CRLF, JSON with tabs, anchors."""
    (folder / "config.yaml").write_bytes(content.encode())
    (request,) = checked()[1]
    assert (request.release, request.plate, request.mjd, request.fibers) == ("sim", 6641, 56383, (1,))


def test_keys_are_taken_from_an_anchor(folder):
    """Protects <<, which spares writing one plate many times: what stands beside it goes before what it takes."""
    text = (
        "release: sim\ntargets:\n- &a {plate: 6641, mjd: 56383, fibers: [1]}\n- {<<: *a, fibers: [2], bands: [red]}\n"
    )
    (folder / "config.yaml").write_text(text)
    assert [(request.fibers, request.bands) for request in checked()[1]] == [
        ((1,), ("blue", "red")), ((2,), ("red",)),
    ]  # fmt: skip
    (folder / "config.yaml").write_text(text.replace("*a,", "[*a, {mjd: 1, products: x}],"))
    (line,) = complaints()
    assert line.startswith("targets[1].products: 'x' is not allowed; give frames: the per-plate files")
    assert line.endswith("(config.yaml, line 4, column 22)")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DR12", "dr12"), ("dr 12", "dr12"), ("Dr15", "dr15"), ("dr-14", "dr14"), ("12", "dr12"), ("'12'", "dr12"),
        ("dr_17", "dr17"), ("d r 1 3", "dr13"), ("DR12 SEQUELS", "dr12-sequels"), ("dr12_sequels", "dr12-sequels"),
        ("SIM", "sim"), ("ｄｒ１２", None), ("dr012", None), ("1", None), ("dr1.2", None), ("12.0", None),
        ("Data Release 12", None),
    ],
)  # fmt: skip
def test_releases_have_many_spellings(folder, name, expected):
    """Protects users who write DR12 as the survey does; what is not clear is refused with the names that are known."""
    plate = 7512 if expected == "dr12-sequels" else 6641
    (folder / "config.yaml").write_text(f"release: {name}\ntargets: [{{plate: {plate}, fibers: [1]}}]\n")
    if expected is None:
        (line,) = complaints()
        assert "sim, dr12, dr12-sequels" in line
    else:
        assert checked()[0].releases == (expected,)


def test_plates_of_two_reductions_go_by_the_night(folder):
    """Protects plates 7339 and 7340, which dr12 has until a night and dr12-sequels from there on."""
    for release, mjd, right in (("dr12", 56739, True), ("dr12", 56768, False), ("dr12-sequels", 56768, True),
                                ("dr12-sequels", 56739, False), ("dr12", "", True), ("dr14", 56768, True)):  # fmt: skip
        text = f"release: {release}\ntargets: [{{plate: 7339, mjd: {mjd}, fibers: [1]}}]\n"
        (folder / "config.yaml").write_text(text)
        if right:
            checked()
        else:
            other = {"dr12": "dr12-sequels", "dr12-sequels": "dr12"}[release]
            (line,) = complaints()
            assert line.startswith(
                f"targets[0].plate: plate 7339 of {mjd} is not in {release}; it is in {other}: give release: {other} ("
            )


# ------------------------------------------------------------------------------------------------ several, and --config


def test_values_come_together_as_in_snakemake(folder):
    """Protects --configfile and --config: later ones win key by key, lists are replaced, null takes a value away."""
    (folder / "config.yaml").write_text(GOOD + "data: {mirror: here, url: 'http://a'}\nmask_allow: [BRIGHTSKY]\n")
    (folder / "a.yaml").write_text("data: {url: {sim: 'http://b'}}\ntargets: [{plate: 4000, fibers: all}]\n")
    (folder / "b.yaml").write_text("data: {url: {dr12: 'http://c'}}\nmask_allow:\n")
    configuration, (request,), _ = checked(["a.yaml", "b.yaml"], ["data={mirror: there}", "release=dr12"])
    assert configuration.model_dump(exclude={"targets", "figures"}) == {
        "release": "dr12",
        "data": {"url": {"sim": "http://b", "dr12": "http://c"}, "mirror": "there"},
        "table": None,
        "query": None,
        "mask_allow": (),
        "keep_intermediates": True,
    }
    assert request.plate == 4000
    assert checked(["a.yaml"], ["release=sim"], only=True)[0].mask_allow == ()
    (line,) = complaints(["a.yaml"], only=True)
    assert line.startswith("release: missing")


def test_the_command_line_may_be_all(folder):
    """Protects runs without any file, and numbers: Snakemake hands over the text '6641'."""
    (request,) = checked([], ["release=sim", "targets=[{plate: 6641, mjd: 56383, fibers: [1, 3-5]}]"])[1]
    assert (request.plate, request.mjd, request.fibers) == (6641, 56383, (1, 3, 4, 5))
    python = repr([{"plate": 6641, "mjd": None, "fibers": [1, "3-5"], "bands": ("red",)[0:0] or ["red"]}])
    (request,) = checked([], ["release=12", f"targets={python}", "mask_allow=", "data={'mirror': None}"])[1]
    assert (request.release, request.plate, request.mjd, request.fibers) == ("dr12", 6641, None, (1, 3, 4, 5))
    (request,) = checked([], ["release=sim", f"targets={json.dumps([{'plate': 6641, 'fibers': 'all'}])}"])[1]
    assert request.whole_plate


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("targets=[{plate: 6641, mjd: 56383, fibers: [1]", "--config targets, column 2: the bracket { that opens here"),
        ("targets=[{plate: 66, fibers: [1]}]", "targets[0].plate: 66 is not allowed; give plate number, 3510 or more "),
        ("targets=[{plate: 6641}]", "targets[0].fibers: missing; give list of fiber numbers 1-1000"),
        ("targets=[{plate: 6641, fibers: [1:30]}]", '--config targets, column 25: YAML reads 1:30 as 90, counting in'),
        ("targets=[{plate: 6641, plate: 6642}]", "--config targets, column 16: 'plate' is there twice (first in col"),
        ("targets=6641", "targets: 6641 is not allowed; give what to analyse"),
        ("targets=", "targets: missing; give what to analyse: a list with an entry for each plate (--config targets)"),
        ("release=DR21", "release: 'DR21' is not known; did you mean 'dr1"),
        ("release=yes", "release: yes, which YAML reads as true, is not allowed; give name of a release"),
        ("release=!!python/name:os.system", "--config release: the tag !!python/name:os.system is not allowed"),
        ("release=a\0b", "--config release: the character U+0000 cannot be in YAML; leave it out"),
        ("plate=6641", "plate: unknown key (known here: release, data, targets, table, query, mask_allow, "),
        ("mask_allow=BRIGHTSKY", "mask_allow: 'BRIGHTSKY' is not allowed; give list of SPPIXMASK bits"),
        ("data={mirror: $NOPE}", "data.mirror: '$NOPE' has $NOPE, which is not set; set it, or write out what it stan"),
        ("release", "--config release: a value is missing; write --config KEY=VALUE, without blanks around ="),
        ("a=1", "--config a: is no key; write --config KEY=VALUE, e.g. --config release=sim"),
        ("=1", "--config : is no key; write --config KEY=VALUE"),
        ("12=1", "--config 12: is no key"),
    ],
)  # fmt: skip
def test_mistakes_of_the_command_line_are_named_as_such(folder, argument, line):
    """Protects from looking for a mistake in a file that it is not in."""
    (folder / "config.yaml").write_text(GOOD)
    (found,) = complaints([], [argument])
    assert found.startswith(line)
    assert "--config" in found


def test_each_mistake_has_the_place_of_what_holds(folder):
    """Protects from being sent to a value that another file has replaced."""
    (folder / "config.yaml").write_text(GOOD + "data: {mirror: x, url: 'ftp://a'}\n")
    (folder / "b.yaml").write_text("targets:\n- plate: 6641\n")
    places = {line.partition(":")[0]: line.rpartition("(")[2] for line in complaints(["b.yaml"], ["mask_allow=[X]"])}
    assert places == {
        "data.url": "config.yaml, line 6, column 19)",
        "targets[0].fibers": "b.yaml, line 2, column 3)",
        "mask_allow": "--config mask_allow, column 2)",
    }


@pytest.mark.parametrize(
    ("line", "files", "values"),
    [
        ("--cores 2", [], []),
        ("--configfile a.yaml -n", ["a.yaml"], []),
        ("--configfiles a.yaml b.yaml --cores 2 x", ["a.yaml", "b.yaml"], []),
        ("--configfile=a.yaml x", ["a.yaml"], []),
        ("--configfile a.yaml --configfile b.yaml", ["b.yaml"], []),
        ("-n --config release=sim data=1 --configfile a.yaml", ["a.yaml"], ["release=sim", "data=1"]),
        ("-C release=sim --", [], ["release=sim"]),
        ("x -- --configfile a.yaml", [], []),
        ("--configfile", [], []),
    ],
)
def test_the_command_line_is_read_as_snakemake_does(line, files, values):
    """Protects the look at files and values before Snakemake reads them from looking at others."""
    assert named(line.split()) == (files, values)


def test_files_are_looked_at_before_snakemake_reads_them(folder):
    """Protects from Snakemake's words on a file that it cannot read: config.yaml is not looked at here."""
    (folder / "a.yaml").write_text("release: [")
    with pytest.raises(UserError, match=r"^a\.yaml, line 1, column 10: the bracket that opens here is not closed"):
        check_command_line(["-n", "--configfile", "a.yaml"])
    check_command_line(["-n"])
    (folder / "a.yaml").write_text(GOOD)
    check_command_line(["-n", "--configfile", "a.yaml", "--config", "release=nonsense"])


# --------------------------------------------------------------------------------------------------------- environment


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"BOSS_DATA_URL": "ftp://a"}, "$BOSS_DATA_URL: 'ftp://a' is not allowed; give server or mirror"),
        ({"BOSS_DATA_URL": "file://relative"}, "$BOSS_DATA_URL: 'file://relative' is not allowed; give server or"),
        ({"BOSS_DATA_URL": "$A"}, "$BOSS_DATA_URL: '$A' has $A, which is not set; set it, or write out what it stands"),
        ({"BOSS_DATA_URL": "$A", "A": "x"}, "$BOSS_DATA_URL: '$A', which is 'x', is not allowed; give server"),
        ({"BOSS_LOCAL_ROOT": "/a/$A"}, "$BOSS_LOCAL_ROOT: '/a/$A' has $A, which is not set"),
        ({"BOSS_LOCAL_ROOT": "http://a"}, "$BOSS_LOCAL_ROOT: 'http://a' is an address; give a folder here"),
        ({"BOSS_LOCAL_ROOT": "config.yaml"}, "$BOSS_LOCAL_ROOT: 'config.yaml' is no folder; give one, which need not"),
        ({"BOSS_LOCAL_ROOT": "a\nb"}, "$BOSS_LOCAL_ROOT: 'a\\nb' is not allowed; give folder for the local copies"),
    ],
)
def test_variables_are_checked_as_the_keys_are(folder, environment, line):
    """Protects from a mistake that is in no file: the variable is named; the simulated plate has none of it."""
    (folder / "config.yaml").write_text(GOOD)
    checked(environment=environment)
    (found,) = complaints([], ["release=dr12"], environment=environment)
    assert found.startswith(line)
    checked([], ["release=dr12", "data={url: 'http://b', mirror: x}"], environment=environment)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("file://~/sdss", "file:///people/me%25/sdss"), ("file://$HOME/sdss", "file:///people/me%25/sdss"),
        ("file://${HOME}", "file:///people/me%25"), ("$SERVER", "file:///a%20b/$HOME"), ("https://$HOST/x", "https://a.org/x"),
        ("file:///a~/~", "file:///a~/~"), ("$HTTP://a", "https://a"),
    ],
)  # fmt: skip
def test_addresses_are_expanded_once(folder, url, expected):
    """Protects folders from being called $FOO, and values of variables from being taken for more variables."""
    (folder / "config.yaml").write_text(GOOD)
    environment = {"HOME": "/people/me%", "SERVER": "file:///a%20b/$HOME", "HOST": "a.org", "HTTP": "https"}
    sources = checked([], [f"data={{url: {json.dumps(url)}}}"], environment=environment)[2]
    assert sources["sim"].url == expected
    sources = checked([], ["release=dr12"], environment=environment | {"BOSS_DATA_URL": url})[2]
    assert sources["dr12"].url == expected


def test_variables_of_bossdata_that_contradict_are_named():
    """Protects from believing that a variable chose the reduction: the release did."""
    used = {name: RELEASES[name] for name in ("sim", "dr12", "dr14")}
    assert contradictions(used, {}) == []
    assert contradictions({"sim": RELEASES["sim"]}, {"BOSS_SAS_PATH": "/x", "BOSS_REDUX_VERSION": "v1"}) == []
    agreeing = {"BOSS_SAS_PATH": "/sas/dr12/boss/", "BOSS_REDUX_VERSION": "v5_7_0"}
    assert contradictions({"dr12": RELEASES["dr12"]}, agreeing) == []
    assert contradictions(used, agreeing) == [
        "$BOSS_SAS_PATH is '/sas/dr12/boss/' and is ignored: dr14 has /sas/dr14/eboss; the release decides",
        "$BOSS_REDUX_VERSION is 'v5_7_0' and is ignored: dr14 has v5_10_0; the release decides",
    ]


# ----------------------------------------------------------------------------------------------------------- generated


DAMAGE = ("", *":[]{}'\"\t\n-!0#\0é%|\\", "&a", "*a", "? ", "<<: ")


def generated(random_numbers):
    """A configuration in YAML, half of the time of right values alone, with a few letters changed in one of three."""

    def pick(*values):
        return random_numbers.choice(values)

    def entry():
        keys = {
            "plate": pick(6641, 7512, 4000, "6641", None, 12, 1.5),
            "fibers": pick([1], ["1-5", 9], "all", [], [0], ["9-1"], "yes", None, [True], {"a": 1}),
            "mjd": pick(56383, 56383, None, "x", -1),
            "bands": pick(["red"], ["blue", "red"], "red", ["green"]),
            "exposures": pick([0], "all", [0, 0], -1),
            "products": pick("spec", "frames", "other"),
            "release": pick("dr12", "SIM", 14, "dr99", None),
            "coadd": pick([{"name": "a"}], [{"name": "A"}], [], "x"),
            pick("fibre", "plat", "12", "é"): 1,
        }
        return {key: value for key, value in keys.items() if random_numbers.random() < 0.6}

    right = random_numbers.random() < 0.5
    simple = [{"plate": 4000 + number, "fibers": [1]} for number in range(3)]
    targets = simple if right else [entry() for _ in range(pick(0, 1, 3))]
    config = {"release": pick("sim", "dr12", "DR 16", 17) if right else pick("sim", "x", 1, None), "targets": targets}
    if random_numbers.random() < 0.3:
        urls = pick("http://a", "~", {12: "a"}, {"dr12": "file://~/a"})
        config["data"] = pick(None, {"url": urls}, {"mirror": "$X"}, {"mirror": "~/a", "url": urls}, 3)
    text = yaml.safe_dump(config, default_flow_style=pick(None, True, False))
    if random_numbers.random() < 0.34:
        for _ in range(pick(1, 3, 30)):
            where = random_numbers.randrange(len(text) + 1)
            text = text[:where] + pick(*DAMAGE) + text[where + pick(0, 1) :]
    return text


def test_generated_configurations_end_well(folder):
    """Protects from what nobody thought of: each is read with all of its targets, or ends in lines that say why not."""
    random_numbers = random.Random(20130402)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(1500):
        text = generated(random_numbers)
        (folder / "config.yaml").write_text(text, encoding="utf-8", newline="")
        try:
            configuration, requests, _ = checked(environment={"HOME": "/people/me"})
        except UserError as error:
            outcomes["refused"] += 1
            for line in str(error).splitlines():
                assert line.isprintable(), text
                assert re.match(r"config\.yaml[:,] |.+: ", line), text
        else:
            outcomes["read"] += 1
            assert len(requests) == len(configuration.targets) == len(re.findall("plate\\b", text)), text
    assert min(outcomes.values()) > 300, outcomes


def test_who_says_what_is_analysed_means_nothing_that_was_said_before(folder):
    """Protects a survey's own file from the targets of config.yaml, and a batch of its query from being all."""
    (folder / "config.yaml").write_text(GOOD)
    (folder / "survey.yaml").write_text("query: {mjd: [55200, 55300]}\n")
    assert "targets" not in read_written(["survey.yaml"], []).values
    found = read_written(["survey.yaml"], ["query={plates: [4000, 4099]}"]).values
    assert found["query"] == {"mjd": [55200, 55300], "plates": [4000, 4099]}
    assert set(read_written([], ["table=a.csv"]).values) & {"targets", "table", "query"} == {"table"}
    assert "targets" in read_written([], ["mask_allow=[]"]).values
