"""Mistakes in the configuration: one line each, naming the key and what would be right."""

import copy

import pytest
import yaml
from conftest import REPOSITORY

from bosscal.config import check_config
from bosscal.errors import UserError
from bosscal.mirror import mask_bits

SCHEMA = yaml.safe_load((REPOSITORY / "workflow/schemas/config.schema.yaml").read_text())
RELEASES = yaml.safe_load((REPOSITORY / "workflow/releases.yaml").read_text())
DEFAULT = yaml.safe_load((REPOSITORY / "config.yaml").read_text())


def check(config):
    return check_config(config, SCHEMA, RELEASES, mask_bits())


def changed(key, value, where=()):
    config = copy.deepcopy(DEFAULT)
    inner = config
    for part in where:
        inner = inner[part]
    inner[key] = value
    return config


def test_shipped_configuration_is_valid():
    """Protects the default run, which lists the tutorial's five figures."""
    config = check(DEFAULT)
    assert sum(len(target["fibers"]) * len(target["bands"]) for target in config["targets"]) == 5


def test_defaults_are_filled_in():
    """Protects short configurations: a release, a plate and fibers are enough; an empty key is one left out."""
    config = check({"release": "dr12", "data": None, "targets": [{"plate": 6641, "fibers": "all"}]})
    assert config["data"] == {"url": None, "mirror": None}
    assert config["mask_allow"] == []
    assert config["targets"] == [
        {"plate": 6641, "fibers": "all", "mjd": None, "bands": ["blue", "red"], "exposures": [0], "products": "frames"}
    ]


TARGET = ("targets", 0)


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (changed("relase", "dr12"), "relase: unknown key; did you mean 'release'?"),
        (changed("fibres", [1], TARGET), "targets[0].fibres: unknown key; did you mean 'fibers'?"),
        (changed("urll", None, ("data",)), "data.urll: unknown key; did you mean 'url'?"),
        (changed("release", "dr11"), "release: 'dr11' is not known"),
        (changed("release", 12), "release: 12 is not allowed; give name of a release"),
        (changed("url", "ftp://example.org", ("data",)), "data.url: 'ftp://example.org' is not allowed; give server"),
        (changed("targets", []), "targets: [] is not allowed"),
        ({"release": "sim"}, "targets: missing"),
        (changed("plate", 266, TARGET), "targets[0].plate: 266 is not allowed; give plate number, 3510 or more"),
        (changed("plate", "6641", TARGET), "targets[0].plate: '6641' is not allowed"),
        (changed("fibers", [0], TARGET), "targets[0].fibers[0]: 0 is not allowed; give list of fiber numbers 1-1000"),
        (changed("fibers", [5, 1001], TARGET), "targets[0].fibers[1]: 1001 is not allowed"),
        (changed("fibers", ["1 to 5"], TARGET), "targets[0].fibers[0]: '1 to 5' is not allowed"),
        (changed("fibers", [], TARGET), "targets[0].fibers: [] is not allowed"),
        (changed("bands", ["green"], TARGET), "targets[0].bands[0]: 'green' is not allowed; give one of blue, red"),
        (changed("exposures", [-1], TARGET), "targets[0].exposures[0]: -1 is not allowed"),
        (changed("products", "frame", TARGET), "targets[0].products: 'frame' is not allowed; give frames"),
        (
            changed("mask_allow", ["BRIGHTSKI"]),
            "mask_allow: 'BRIGHTSKI' is no SPPIXMASK bit; did you mean 'BRIGHTSKY'?",
        ),
    ],
)
def test_each_mistake_is_one_line(config, line):
    """Protects users from tracebacks: every mistake names its key and what would be right."""
    with pytest.raises(UserError) as caught:
        check(config)
    lines = str(caught.value).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(line)


def test_all_mistakes_are_reported_at_once():
    """Protects against fixing one mistake only to be told of the next."""
    config = changed("plate", 266, TARGET) | {"release": "dr11", "typo": 1}
    with pytest.raises(UserError) as caught:
        check(config)
    assert len(str(caught.value).splitlines()) == 3
