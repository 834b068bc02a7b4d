"""Snakemake's own lint of the workflow, but for what is meant to be as it is: `make lint`."""

import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
# How a complaint begins, and why it is none.
EXCEPTIONS = {
    "Mixed rules and functions": "a function stands beside the only rule that uses it; shared ones are in common.smk",
    'Absolute path "/{wildcards.server_path}"': "the path of a URL, not of a file",
}


def complaints(output):
    """(file or rule, complaint) of all that Snakemake says, exceptions left out."""
    where = None
    for line in output.splitlines():
        if line.startswith("Lints for "):
            where = line.removeprefix("Lints for ").rstrip(":")
        elif line.startswith("    * ") and not line.removeprefix("    * ").startswith(tuple(EXCEPTIONS)):
            yield where, line.removeprefix("    * ").rstrip(":")


def main():
    command = [sys.executable, "-m", "snakemake", "--lint", "--workflow-profile", "none"]
    command += ["--snakefile", REPOSITORY / "Snakefile", "--configfile", REPOSITORY / "config.yaml"]
    # elsewhere, so that a run in this folder does not matter
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if process.returncode and "Lints for " not in process.stdout:
        return process.stdout
    return "\n".join(f"{where}: {complaint}" for where, complaint in complaints(process.stdout))


if __name__ == "__main__":
    sys.exit(main() or 0)
