"""Fetch the scripts and styles of others that the report uses anew: `make vendor`.

Their versions stand in src/bosscal/report/assets/vendored.yaml; change one there first to have another. Needs npm.
"""

import hashlib
import io
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

import yaml

ASSETS = Path(__file__).resolve().parents[1] / "src/bosscal/report/assets"
LIST = ASSETS / "vendored.yaml"


def main():
    """Write every file from its published package, and its checksum into the list; say which changed."""
    words = LIST.read_text(encoding="utf-8")
    for entry in yaml.safe_load(words):
        with tempfile.TemporaryDirectory() as folder:
            command = ["npm", "pack", "--silent", f"{entry['package']}@{entry['version']}"]
            name = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
            with tarfile.open(fileobj=io.BytesIO((Path(folder) / name).read_bytes())) as package:
                content = package.extractfile(f"package/{entry['path']}").read()
        found = hashlib.sha256(content).hexdigest()
        if found != entry["sha256"]:
            print(f"changed: {entry['file']}")
            words = re.sub(entry["sha256"], found, words)
        (ASSETS / entry["file"]).write_bytes(content)
    LIST.write_text(words, encoding="utf-8")


if __name__ == "__main__":
    main()
