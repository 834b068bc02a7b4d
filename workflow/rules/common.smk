# The configuration, checked, and the names that every other file of rules uses.
import fcntl
import hashlib
import os
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path

import yaml
from snakemake.settings.types import ExecMode

SOURCE = Path(workflow.basedir) / "src"
sys.path.insert(0, str(SOURCE))
# Jobs find the package here too, whatever environment they run in.
shell.prefix(f"export PYTHONPATH={shlex.quote(str(SOURCE))}; ")

from bosscal import mirror, targets
from bosscal.config import check_config
from bosscal.errors import UserError
from bosscal.files import read_json
from bosscal.provenance import code_digest


@contextmanager
def user_errors():
    """A mistake in the configuration ends the run with its one line, and nothing around it."""
    try:
        yield
    except UserError as error:
        sys.exit("\n".join(f"bosscal: {line}" for line in str(error).splitlines()))


def read_yaml(name):
    return yaml.safe_load((Path(workflow.basedir) / "workflow" / name).read_text(encoding="utf-8"))


with user_errors():
    RELEASES = read_yaml("releases.yaml")
    config.update(check_config(config, read_yaml("schemas/config.schema.yaml"), RELEASES, mirror.mask_bits()))
    REQUESTS = targets.parse_requests(config["targets"])

RELEASE = RELEASES[config["release"]]
MASK_ALLOW = sum(mirror.mask_bits()[name] for name in config["mask_allow"])
FINDER = mirror.finder(RELEASE["sas_path"], RELEASE["run2d"])

# Where files come from. The simulated plate is a server of its own, which a rule fills.
SIMULATED = "results/simulated"
IS_SIMULATED = RELEASE["url"] is None and config["data"]["url"] is None
URL = config["data"]["url"] or (
    Path(SIMULATED).absolute().as_uri() if IS_SIMULATED else os.environ.get("BOSS_DATA_URL") or RELEASE["url"]
)
config["data"]["url"] = URL  # for the download jobs: not a parameter, since another URL makes no mirrored file stale


def default_mirror():
    """One folder for each source, so that files of two servers never mix."""
    if IS_SIMULATED or URL == RELEASE["url"]:
        return f"results/mirror/{config['release']}"
    return f"results/mirror/{config['release']}-{hashlib.sha256(URL.encode()).hexdigest()[:8]}"


# The simulated plate stays out of a mirror that is shared with other work.
MIRROR = config["data"]["mirror"] or (not IS_SIMULATED and os.environ.get("BOSS_LOCAL_ROOT")) or default_mirror()


def mirrored(server_path):
    """Local path of a file of the survey."""
    return f"{MIRROR}/{server_path.lstrip('/')}"


def code(script):
    """Digest of a script and of all it imports of bosscal: an edit reruns the rules that it concerns."""
    return code_digest(Path(workflow.basedir) / "workflow" / "scripts" / script)


ENVIRONMENT = f"{workflow.basedir}/envs/bosscal.yaml"

if workflow.exec_mode == ExecMode.DEFAULT and not workflow.dryrun:
    # Snakemake's own lock outlives a killed run and has to be removed by hand; this one ends with its process.
    Path("results").mkdir(exist_ok=True)
    RUN_LOCK = open("results/.lock", "w")
    try:
        fcntl.flock(RUN_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("bosscal: another run is at work in this folder: wait for it to end, or run in another one")


wildcard_constraints:
    plate_mjd=r"\d{4,5}-\d{5}",
    exposure=r"[br][12]-\d{8}",
    fiber=r"\d{4}",
    unit=r"[br][12]-\d{8}(-\d{4})?",
    target=r"\d{4,5}-\d{5}-\d{4}-[br][12]-\d{8}",
    camera=r"[br][12]",
