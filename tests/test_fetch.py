"""Fetching files: linked from a folder, downloaded from a server that misbehaves, verified, and never half there."""

import gzip
import hashlib
import io
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import sleep  # the server's own: waits between attempts are taken out below

import numpy as np
import pytest
import tenacity
from astropy.io import fits

from bosscal.base.errors import UserError
from bosscal.survey import fetch as fetching
from bosscal.survey.fetch import (
    ATTEMPTS,
    BEGINNING,
    INPUTS,
    Fetched,
    MissingFileError,
    fetch,
    fetch_beginning,
    link_input,
    read_record,
    write_record,
)

FOLDER = "/sas/dr12/boss/spectro/redux/v5_7_0/6641/"
PATH = f"{FOLDER}spCFrame-b1-00158842.fits"


def fits_bytes(seed=0):
    """A FITS file of half a megabyte."""
    stream = io.BytesIO()
    fits.PrimaryHDU(np.random.default_rng(seed).random((256, 256))).writeto(stream)
    return stream.getvalue()


CONTENT, OTHER = fits_bytes(0), fits_bytes(1)
PACKED = gzip.compress(CONTENT, 1, mtime=0)
LOGIN = b"<!DOCTYPE html><html><body>Please log in</body></html>" * 100


class Behaviour:
    """How the server answers one request for a file.

    ``cut`` ends the body after so many bytes of it, ``length`` is whether it says how long it is, ``ranges`` whether it
    heeds Range, ``pause`` makes it slow [s for a hundredth].
    """

    def __init__(
        self, content=CONTENT, status=200, cut=None, length=True, ranges=True, tag='"one"', headers=(), pause=0
    ):
        self.content, self.status, self.cut, self.length = content, status, cut, length
        self.ranges, self.tag, self.headers, self.pause = ranges, tag, dict(headers), pause


@contextmanager
def serving(*behaviours, sha1=None, listing=True):
    """A server on loopback: its answers to requests for files one after the other, the last again and again.

    Yields its address and the requests for files: the value of their Range, or "".
    """
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self):
            if self.path.endswith("/"):
                body = b'<a href="plate.sha1sum">plate.sha1sum</a> <a href="../evil.sha1sum">x</a>' if listing else b""
                return self.answer(200 if listing else 404, body, {})
            if self.path.endswith(".sha1sum"):
                assert "evil" not in self.path
                name = PATH.rpartition("/")[2]
                lines = "" if sha1 is None else f"{sha1}  {name}\n0123  bad line\n{sha1}  {name}.gz\n"
                return self.answer(200, lines.encode(), {})
            asked.append(self.headers.get("Range", ""))
            self.give(behaviours[min(len(asked), len(behaviours)) - 1])

        def give(self, how):
            content, status, headers = how.content, how.status, how.headers
            if status == 200:
                headers = headers | ({"ETag": how.tag} if how.tag else {})
                wanted = self.headers.get("Range")
                if wanted and how.ranges and self.headers.get("If-Range", how.tag) == how.tag:
                    first, _, last = wanted.removeprefix("bytes=").partition("-")
                    end = min(int(last or len(content) - 1), len(content) - 1)
                    headers["Content-Range"] = f"bytes {first}-{end}/{len(content)}"
                    content, status = content[int(first) : end + 1], 206
            else:
                content = b""
            self.answer(status, content, headers, how)

        def answer(self, status, content, headers, how=None):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if how is None or how.length:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            body = content if how is None or how.cut is None else content[: how.cut]
            step = max(len(body) // 100, 1) if how and how.pause else max(len(body), 1)
            for start in range(0, len(body), step):
                self.wfile.write(body[start : start + step])
                sleep(how.pause if how else 0)

        def log_message(self, *arguments):
            pass

        def handle(self):
            with suppress(BrokenPipeError, ConnectionResetError):  # who asked has gone
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """No waiting between attempts; the seconds that would have been waited."""
    waited = []
    monkeypatch.setattr(tenacity.nap.time, "sleep", waited.append)
    return waited


def sha1(content):
    return hashlib.sha1(content).hexdigest()


def names(folder):
    """What is in a folder, without the list of checksums."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".sha1sum.json")


# ---------------------------------------------------------------------------------------------------------- folders


def test_a_folder_is_linked_never_copied(tmp_path):
    """Protects disks from second copies of a mirror, also where its path has blanks."""
    server = tmp_path / "my server"
    source = server / PATH.lstrip("/")
    source.parent.mkdir(parents=True)
    source.write_bytes(CONTENT)
    link = tmp_path / "mirror" / PATH.lstrip("/")
    assert fetch(server.as_uri(), PATH, link).how == "linked"
    assert link.is_symlink()
    assert link.resolve() == source


def test_a_file_that_is_there_is_not_fetched_again(tmp_path):
    """Protects a mirror that was filled by other means: its files are read to the end, and stay as they are."""
    local = tmp_path / PATH.lstrip("/")
    local.parent.mkdir(parents=True)
    local.write_bytes(OTHER)
    with serving(Behaviour()) as (url, asked):
        fetched = fetch(url, PATH, local)
        assert fetched == Fetched("there", url, PATH, "its own structure alone", sha1(OTHER), len(OTHER))
        for damaged in (b"mine", OTHER[:-5000]):
            local.write_bytes(damaged)
            with pytest.raises(UserError, match=r"is no whole FITS file \(.*\); delete it, and run again to fetch it"):
                fetch(url, PATH, local)
            assert local.read_bytes() == damaged
    assert asked == []


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_there_is_compared_with_the_surveys_list(tmp_path, kept):
    """Protects against wrong bytes in an old mirror, where the list of checksums is at hand: of whoever fetched it, or
    beside the file that is linked."""
    server, local = tmp_path / "server", tmp_path / "mirror" / "file.fits"
    source = server / "sas/6641/file.fits"
    for folder in (source.parent, local.parent):
        folder.mkdir(parents=True)
    source.write_bytes(CONTENT)
    (source.parent / "boss_spectro_redux_6641.sha1sum").write_text(f"{sha1(CONTENT)}  file.fits\n{sha1(b'')} ../x\n")
    if kept:
        (local.parent / ".sha1sum.json").write_text(json.dumps({"file.fits": sha1(CONTENT)}))
    assert fetch(server.as_uri(), "/sas/6641/file.fits", local).verified == "the survey's SHA-1"
    source.write_bytes(OTHER)
    with pytest.raises(UserError, match=r"has SHA-1 \w+, and the survey's list says \w+; put a good one in its place"):
        fetch(server.as_uri(), "/sas/6641/file.fits", local)


def test_a_run_has_links_into_the_mirror_and_records_of_them(tmp_path, monkeypatch):
    """Protects a folder that is moved with its mirror, a mirror elsewhere, and the report's words on each file."""
    monkeypatch.chdir(tmp_path)
    mirror = Path("results/mirror/sas/file.fits")
    mirror.parent.mkdir(parents=True)
    mirror.write_bytes(CONTENT)
    link = INPUTS / "dr12/sas/file.fits"
    link.parent.mkdir(parents=True)
    for path in (mirror, tmp_path / mirror, mirror):  # over an earlier one too
        link_input(path, link)
        assert link.read_bytes() == CONTENT
    assert not os.path.isabs(os.readlink(link))
    assert read_record(link) is None
    fetched = Fetched("linked", "file:///data", "/sas/file.fits", "its own structure alone", sha1(CONTENT), 3)
    write_record(link, fetched)
    assert read_record(link) == fetched
    assert list(link.parent.iterdir()) == [link]
    Path("results/fetched/dr12/sas/file.fits.json").write_text("{")
    assert read_record(link) is None


def test_a_missing_file_of_a_folder_is_named(tmp_path):
    """Protects against dangling links."""
    with pytest.raises(UserError, match=rf"{PATH}: no such file; check plate"):
        fetch(tmp_path.as_uri(), PATH, tmp_path / "mirror" / "platelist.fits")
    assert not (tmp_path / "mirror" / "platelist.fits").is_symlink()


def test_a_link_whose_target_went_away_is_made_anew(tmp_path):
    """Protects a mirror from links that dangle since a folder was moved."""
    server, link = tmp_path / "new", tmp_path / "platelist.fits"
    source = server / PATH.lstrip("/")
    source.parent.mkdir(parents=True)
    source.write_bytes(CONTENT)
    link.symlink_to(tmp_path / "old" / "platelist.fits")
    fetch(server.as_uri(), PATH, link)
    assert link.resolve() == source


# -------------------------------------------------------------------------------------------------------- transfers


@pytest.mark.parametrize(
    ("behaviours", "ranges"),
    [
        ([Behaviour()], [""]),
        ([Behaviour(status=503), Behaviour(status=429), Behaviour()], ["", "", ""]),
        # Cut in the middle: continued from there, and again.
        ([Behaviour(cut=100_000), Behaviour(cut=200_000), Behaviour()], ["", "bytes=100000-", "bytes=300000-"]),
        # Cut, and the server knows nothing of ranges: from the beginning.
        ([Behaviour(cut=100_000, ranges=False), Behaviour(ranges=False)], ["", "bytes=100000-"]),
        # Cut, and without a word on which file it is: no part of it is trusted.
        ([Behaviour(cut=100_000, tag=None), Behaviour(tag=None)], ["", ""]),
        # Cut, and replaced by another file meanwhile: nothing of the old one stays.
        ([Behaviour(OTHER, cut=100_000, tag='"old"'), Behaviour()], ["", "bytes=100000-"]),
        # Without a length and cut: no whole FITS file, asked again from the beginning.
        ([Behaviour(cut=100_000, length=False), Behaviour()], ["", ""]),
        ([Behaviour(b""), Behaviour()], ["", ""]),
        ([Behaviour(LOGIN), Behaviour()], ["", ""]),
        ([Behaviour(length=False)], [""]),
    ],
    ids=[
        "good", "busy", "cut twice", "no ranges", "no validator", "changed", "no length, cut", "empty", "login",
        "no length",
    ],
)  # fmt: skip
def test_what_arrives_is_the_file(tmp_path, behaviours, ranges):
    """Protects the mirror: whatever a server does on the way, the file is what it should be, and alone."""
    local = tmp_path / "mirror" / "spCFrame-b1-00158842.fits"
    with serving(*behaviours, sha1=sha1(CONTENT)) as (url, asked):
        fetched = fetch(url, PATH, local)
    assert local.read_bytes() == CONTENT
    assert (fetched.how, fetched.verified, fetched.sha1) == ("downloaded", "the survey's SHA-1", sha1(CONTENT))
    assert asked == ranges
    assert names(local.parent) == [local.name]


@pytest.mark.parametrize(
    ("behaviour", "message", "attempts"),
    [
        (Behaviour(status=404), "no such file on the server; check plate", 1),
        (Behaviour(status=410), "no such file on the server; check plate", 1),
        (Behaviour(status=403), r"the server refuses this file \(status 403\)", 1),
        (Behaviour(status=401), r"the server refuses this file \(status 401\)", 1),
        (Behaviour(status=400), "the server answers with status 400; check data.url", 1),
        (Behaviour(status=500), f"download failed after {ATTEMPTS} attempts: status 500", ATTEMPTS),
        (Behaviour(cut=0), rf"download failed after {ATTEMPTS} attempts: 0 of \d+ bytes came", ATTEMPTS),
        (Behaviour(LOGIN), r"what came is a web page \(did the server ask for a login\?\), twice; not kept", 2),
        (Behaviour(b""), "what came is no whole FITS file", 2),
        (Behaviour(CONTENT[:-5000], length=False), r"what came is no whole FITS file \(.*truncated", 2),
        (Behaviour(OTHER), r"what came has SHA-1 \w+, and the survey's list says \w+, twice; not kept", 2),
        (Behaviour(status=302, headers={"Location": "file:///etc/passwd"}), r"no http\(s\) address; check data.url", 1),
        (Behaviour(status=302, headers={"Location": PATH}), "leads round in circles", 11),
    ],
    ids=[
        "missing", "gone", "forbidden", "login", "bad request", "broken", "silent", "web page", "empty", "short",
        "wrong bytes", "redirect to a file", "circle",
    ],
)  # fmt: skip
def test_a_failed_download_is_one_line_and_leaves_no_file(tmp_path, behaviour, message, attempts):
    """Protects the mirror from damaged files, the user from tracebacks, and the server from being asked in vain."""
    local = tmp_path / "mirror" / "spCFrame-b1-00158842.fits"
    with serving(behaviour, sha1=sha1(CONTENT)) as (url, asked), pytest.raises(UserError, match=message) as caught:
        fetch(url, PATH, local)
    assert "\n" not in str(caught.value)
    assert len(asked) == attempts
    assert names(local.parent) == []
    assert isinstance(caught.value, MissingFileError) == ("no such file" in message)


def test_one_flipped_bit_of_a_packed_file_is_found(tmp_path):
    """Protects against a wrong bit where there is no list of checksums: gzip has one of its own."""
    flipped = bytearray(PACKED)
    flipped[len(PACKED) // 2] ^= 4
    local = tmp_path / "spFrame-b1-00158842.fits.gz"
    with serving(Behaviour(bytes(flipped)), Behaviour(PACKED), listing=False) as (url, asked):
        fetched = fetch(url, f"{PATH}.gz", local)
    assert local.read_bytes() == PACKED
    assert fetched.verified == "its own structure alone"
    assert len(asked) == 2


def test_a_packed_file_stays_packed(tmp_path):
    """Protects against servers that call a .gz file's packing an encoding of the transfer."""
    local = tmp_path / "spFrame-b1-00158842.fits.gz"
    with serving(Behaviour(PACKED, headers={"Content-Encoding": "gzip"}), sha1=sha1(PACKED)) as (url, _):
        fetch(url, f"{PATH}.gz", local)
    assert local.read_bytes() == PACKED


def test_the_wish_of_a_busy_server_is_heeded(tmp_path, waits):
    """Protects the survey's server: Retry-After is waited for, up to two minutes, and other waits grow."""
    busy = [Behaviour(status=503, headers={"Retry-After": wish}) for wish in ("7", "9999")]
    with serving(*busy, Behaviour(status=500), Behaviour()) as (url, _):
        fetch(url, PATH, tmp_path / "a.fits")
    assert waits[:2] == [7, 120]
    assert 1 <= waits[2] <= 61


def test_a_slow_transfer_is_begun_again(tmp_path, monkeypatch):
    """Protects a night from a server that gives one byte a second: it is asked again, and continued."""
    monkeypatch.setattr(fetching, "SPEED_WINDOW", 0.2)
    monkeypatch.setattr(fetching, "LEAST_SPEED", 100_000_000)
    with serving(Behaviour(pause=0.02), Behaviour()) as (url, asked):
        fetch(url, PATH, tmp_path / "a.fits")
    assert (tmp_path / "a.fits").read_bytes() == CONTENT
    assert len(asked) == 2
    assert asked[1].startswith("bytes=")


def test_no_such_server(tmp_path):
    """Protects the user of a mistyped address from six attempts, and from a traceback."""
    with pytest.raises(UserError, match=r"no such server, or no network; check data\.url"):
        fetch("http://no-such-host.invalid", PATH, tmp_path / "a.fits")


def test_several_at_once_do_not_see_each_other(tmp_path):
    """Protects a mirror that several runs fill: each has a partial file of its own."""
    local = tmp_path / "mirror" / "a.fits"
    with serving(Behaviour(pause=0.002), sha1=sha1(CONTENT)) as (url, asked), ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fetch(url, PATH, local), range(4)))
    assert local.read_bytes() == CONTENT
    assert len(asked) >= 2
    assert names(local.parent) == ["a.fits"]


def test_what_a_killed_run_left_is_continued(tmp_path):
    """Protects a night's work: a partial file that nobody writes to any more is taken over, one in use is not."""
    local = tmp_path / "a.fits"
    with serving(Behaviour(cut=10_000)) as (url, _), pytest.raises(UserError, match="download failed"):
        fetch(url, PATH, local)
    left = [path for path in tmp_path.glob(".partial-*") if path.suffix != ".json"]
    assert len(left) == 1
    in_use = tmp_path / ".partial-a.fits.other"
    in_use.write_bytes(b"of another run")
    note = tmp_path / f"{left[0].name}.json"
    have = left[0].stat().st_size
    with serving(Behaviour(), sha1=sha1(CONTENT)) as (again, asked):
        note.write_text(note.read_text().replace(url, again))
        fetch(again, PATH, local)
    assert asked == [f"bytes={have}-"]
    assert local.read_bytes() == CONTENT
    assert in_use.read_bytes() == b"of another run"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_mirror_that_may_not_be_written(tmp_path):
    """Protects the users of a shared mirror: one line that names the setting."""
    folder = tmp_path / "mirror"
    folder.mkdir(mode=0o555)
    with serving(Behaviour()) as (url, _), pytest.raises(UserError, match=r"set data\.mirror to a folder of your own"):
        fetch(url, PATH, folder / "a.fits")


# ----------------------------------------------------------------------------------------------------------- pieces


def test_the_beginning_of_a_large_file(tmp_path):
    """Protects files that lost their headers: of a large file the first blocks come, whether or not the server heeds a
    range, and an empty file where there is none."""
    with serving(Behaviour(), Behaviour(ranges=False), Behaviour(status=404)) as (url, asked):
        for name in "abc":
            fetch_beginning(url, PATH, tmp_path / name)
    assert asked == [f"bytes=0-{BEGINNING - 1}"] * 3
    assert [(tmp_path / name).read_bytes() for name in "abc"] == [CONTENT[:BEGINNING], CONTENT[:BEGINNING], b""]
