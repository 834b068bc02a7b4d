"""Fetching files: linked from a folder, downloaded from a server that misbehaves, verified, and never half there."""

import gzip
import hashlib
import io
import json
import os
import socket
import struct
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep  # the server's own: waits between attempts are taken out below

import numpy as np
import pytest
import tenacity
from astropy.io import fits

from bosscal.base.errors import UserError
from bosscal.base.log import Progress
from bosscal.survey import transfer
from bosscal.survey.fetch import BEGINNING, fetch, fetch_beginning, size_to_come
from bosscal.survey.inputs import INPUTS, Fetched, link_input, read_record, write_record
from bosscal.survey.transfer import ATTEMPTS, MissingFileError, new_session

FOLDER = "/sas/dr12/boss/spectro/redux/v5_7_0/6641/"
PATH = f"{FOLDER}spCFrame-b1-00158842.fits"


def fits_bytes(seed=0):
    """A FITS file of half a megabyte."""
    stream = io.BytesIO()
    fits.PrimaryHDU(np.random.default_rng(seed).random((256, 256))).writeto(stream)
    return stream.getvalue()


CONTENT, OTHER = fits_bytes(0), fits_bytes(1)
PACKED = gzip.compress(CONTENT, 1, mtime=0)
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
CHUNK = f"{len(CONTENT):x}\r\n".encode() + CONTENT + b"\r\n0\r\n\r\n"
LOGIN = b"<!DOCTYPE html><html><body>Please log in</body></html>" * 100


class Behaviour:
    """How the server answers one request for a file.

    ``cut`` ends the body after so many bytes of it, ``length`` is whether it says how long it is, ``ranges`` whether it
    heeds Range, ``pause`` makes it slow [s for a hundredth, or for ``step`` bytes], ``reset`` ends the connection the
    hard way, ``raw`` is sent in place of any HTTP.
    """

    def __init__(
        self, content=CONTENT, status=200, cut=None, length=True, ranges=True, tag='"one"', headers=(), pause=0, step=0,
        reset=False, raw=None,
    ):  # fmt: skip
        self.content, self.status, self.cut, self.length = content, status, cut, length
        self.ranges, self.tag, self.headers, self.pause = ranges, tag, dict(headers), pause
        self.step, self.reset, self.raw = step, reset, raw


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

        def do_HEAD(self):
            how = behaviours[-1]
            self.answer(how.status, how.content if how.status == 200 else b"", {}, head=True)

        def give(self, how):
            if how.raw is not None:
                return self.wfile.write(how.raw)
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

        def answer(self, status, content, headers, how=None, head=False):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if how is None or how.length:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if head:
                return
            body = content if how is None or how.cut is None else content[: how.cut]
            step = (how.step or max(len(body) // 100, 1)) if how and how.pause else max(len(body), 1)
            for start in range(0, len(body), step):
                self.wfile.write(body[start : start + step])
                sleep(how.pause if how else 0)
            if how and how.reset:
                self.wfile.flush()
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

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


def local(mirror, path=PATH):
    """Where a mirror has a file."""
    return Path(f"{mirror}{path}")


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
    link, fetched = fetch([server.as_uri()], [PATH], tmp_path / "mirror")
    assert link == local(tmp_path / "mirror")
    assert fetched.how == "linked"
    assert link.is_symlink()
    assert link.resolve() == source


def test_a_file_that_is_there_is_not_fetched_again(tmp_path):
    """Protects a mirror that was filled by other means: its files are read to the end, and stay as they are."""
    path = local(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(OTHER)
    with serving(Behaviour()) as (url, asked):
        there, fetched = fetch([url], [f"{PATH}.gz", PATH], tmp_path)
        assert there == path
        assert fetched == Fetched("there", url, PATH, "its own structure alone", sha1(OTHER), len(OTHER))
        for damaged in (b"mine", OTHER[:-5000]):
            path.write_bytes(damaged)
            with pytest.raises(UserError, match=r"is no whole FITS file \(.*\); delete it, and run again to fetch it"):
                fetch([url], [PATH], tmp_path)
            assert path.read_bytes() == damaged
    assert asked == []


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_there_is_compared_with_the_surveys_list(tmp_path, kept):
    """Protects against wrong bytes in an old mirror, where the list of checksums is at hand: of whoever fetched it, or
    beside the file that is linked."""
    server, mirror = tmp_path / "server", tmp_path / "mirror"
    source = server / "sas/6641/file.fits"
    for folder in (source.parent, mirror / "sas/6641"):
        folder.mkdir(parents=True)
    source.write_bytes(CONTENT)
    (source.parent / "boss_spectro_redux_6641.sha1sum").write_text(f"{sha1(CONTENT)}  file.fits\n{sha1(b'')} ../x\n")
    if kept:
        (mirror / "sas/6641/.sha1sum.json").write_text(json.dumps({"file.fits": sha1(CONTENT)}))
    assert fetch([server.as_uri()], ["/sas/6641/file.fits"], mirror)[1].verified == "the survey's SHA-1"
    source.write_bytes(OTHER)
    with pytest.raises(UserError, match=r"has SHA-1 \w+, and the survey's list says \w+; put a good one in its place"):
        fetch([server.as_uri()], ["/sas/6641/file.fits"], mirror)


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
        fetch([tmp_path.as_uri()], [PATH], tmp_path / "mirror")
    assert not local(tmp_path / "mirror").is_symlink()


def test_a_link_whose_target_went_away_is_made_anew(tmp_path):
    """Protects a mirror from links that dangle since a folder was moved."""
    server, link = tmp_path / "new", local(tmp_path / "mirror")
    source = server / PATH.lstrip("/")
    source.parent.mkdir(parents=True)
    source.write_bytes(CONTENT)
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "old" / "platelist.fits")
    fetch([server.as_uri()], [PATH], tmp_path / "mirror")
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
        ([Behaviour(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), Behaviour(raw=b""), Behaviour()], ["", "", ""]),
        # Chunks that end in the middle of one, and a good one.
        ([Behaviour(raw=CHUNKED_HEAD + CHUNK[:5000]), Behaviour(raw=CHUNKED_HEAD + CHUNK)], ["", ""]),
        ([Behaviour(raw=CHUNKED_HEAD + b"no number\r\n"), Behaviour()], ["", ""]),
    ],
    ids=[
        "good", "busy", "cut twice", "no ranges", "no validator", "changed", "no length, cut", "empty", "login",
        "no length", "no HTTP", "chunks, cut", "bad chunks",
    ],
)  # fmt: skip
def test_what_arrives_is_the_file(tmp_path, behaviours, ranges):
    """Protects the mirror: whatever a server does on the way, the file is what it should be, and alone."""
    with serving(*behaviours, sha1=sha1(CONTENT)) as (url, asked):
        path, fetched = fetch([url], [PATH], tmp_path)
    assert path.read_bytes() == CONTENT
    assert (fetched.how, fetched.verified, fetched.sha1) == ("downloaded", "the survey's SHA-1", sha1(CONTENT))
    assert asked == ranges
    assert names(path.parent) == [path.name]


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
    with serving(behaviour, sha1=sha1(CONTENT)) as (url, asked), pytest.raises(UserError, match=message) as caught:
        fetch([url], [PATH], tmp_path)
    assert "\n" not in str(caught.value)
    assert len(asked) == attempts
    assert names(local(tmp_path).parent) == []
    assert isinstance(caught.value, MissingFileError) == ("no such file" in message)


def test_one_flipped_bit_of_a_packed_file_is_found(tmp_path):
    """Protects against a wrong bit where there is no list of checksums: gzip has one of its own."""
    flipped = bytearray(PACKED)
    flipped[len(PACKED) // 2] ^= 4
    with serving(Behaviour(bytes(flipped)), Behaviour(PACKED), listing=False) as (url, asked):
        path, fetched = fetch([url], [f"{PATH}.gz"], tmp_path)
    assert path.read_bytes() == PACKED
    assert fetched.verified == "its own structure alone"
    assert len(asked) == 2


def test_a_packed_file_stays_packed(tmp_path):
    """Protects against servers that call a .gz file's packing an encoding of the transfer."""
    with serving(Behaviour(PACKED, headers={"Content-Encoding": "gzip"}), sha1=sha1(PACKED)) as (url, _):
        path, _ = fetch([url], [f"{PATH}.gz"], tmp_path)
    assert path.read_bytes() == PACKED


def test_the_wish_of_a_busy_server_is_heeded(tmp_path, waits):
    """Protects the survey's server: Retry-After is waited for, up to two minutes, and other waits grow."""
    busy = [Behaviour(status=503, headers={"Retry-After": wish}) for wish in ("7", "9999")]
    with serving(*busy, Behaviour(status=500), Behaviour()) as (url, _):
        fetch([url], [PATH], tmp_path)
    assert waits[:2] == [7, 120]
    assert 1 <= waits[2] <= 61


def test_a_slow_transfer_is_begun_again(tmp_path, monkeypatch):
    """Protects a night from a server that gives one byte a second: it is asked again, and continued."""
    monkeypatch.setattr(transfer, "SPEED_WINDOW", 0.2)
    monkeypatch.setattr(transfer, "LEAST_SPEED", 100_000_000)
    with serving(Behaviour(pause=0.02), Behaviour()) as (url, asked):
        path, _ = fetch([url], [PATH], tmp_path)
    assert path.read_bytes() == CONTENT
    assert len(asked) == 2
    assert asked[1].startswith("bytes=")


def test_bytes_that_drip_hold_nobody(tmp_path, monkeypatch):
    """Protects a night from a server that gives a few bytes a second: no chunk is waited for until it is full."""
    monkeypatch.setattr(transfer, "SPEED_WINDOW", 0.3)
    with serving(Behaviour(pause=0.05, step=10), Behaviour()) as (url, asked):
        begin = monotonic()
        path, _ = fetch([url], [PATH], tmp_path)
        assert monotonic() - begin < 5  # the whole file would take 45 minutes
    assert path.read_bytes() == CONTENT
    assert len(asked) == 2


def test_a_connection_that_breaks_is_continued(tmp_path):
    """Protects what has come from a network that goes away in the middle."""
    with serving(Behaviour(cut=200_000, reset=True), Behaviour(), sha1=sha1(CONTENT)) as (url, asked):
        path, _ = fetch([url], [PATH], tmp_path)
    assert path.read_bytes() == CONTENT
    assert len(asked) == 2


def test_the_proxy_of_the_environment_is_asked(tmp_path, monkeypatch):
    """Protects users behind a proxy: it gets the request for a server that only it reaches; a bad one is named."""
    with serving(Behaviour(), listing=False) as (proxy, asked):
        monkeypatch.setenv("http_proxy", proxy)
        path, _ = fetch(["http://survey.invalid"], [PATH], tmp_path / "mirror")
    assert path.read_bytes() == CONTENT
    assert len(asked) == 1
    monkeypatch.setenv("http_proxy", "http:///nowhere")
    with pytest.raises(UserError, match=r"check \$http_proxy"):
        fetch(["http://survey.invalid"], [PATH], tmp_path / "other")


def test_progress_is_told_now_and_then(caplog):
    """Protects the patience of a user: how much of what has come, how fast, how long it will take, not too often."""
    clock, terminal = iter([0.0, 0.0, 1.0, 6.0, 20.0, 31.0]), io.StringIO()
    progress = Progress("spCFrame.fits", terminal, lambda: next(clock))
    with caplog.at_level("INFO"):
        for there in (0, 1, 6, 20, 31):
            progress(there * 1_000_000, 91_000_000)
    lines = terminal.getvalue().splitlines()
    assert lines == [
        "spCFrame.fits: 6 of 91 MB, 1.00 MB/s, 85 s left",
        "spCFrame.fits: 20 of 91 MB, 1.00 MB/s, 71 s left",
        "spCFrame.fits: 31 of 91 MB, 1.00 MB/s, 60 s left",
    ]
    assert caplog.messages == lines[-1:]


def test_no_such_server(tmp_path):
    """Protects the user of a mistyped address from six attempts, and from a traceback."""
    with pytest.raises(UserError, match=r"no such server, or no network; check data\.url"):
        fetch(["http://no-such-host.invalid"], [PATH], tmp_path)


def test_several_at_once_do_not_see_each_other(tmp_path):
    """Protects a mirror that several runs fill: each has a partial file of its own."""
    path = local(tmp_path)
    with serving(Behaviour(pause=0.002), sha1=sha1(CONTENT)) as (url, asked), ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fetch([url], [PATH], tmp_path), range(4)))
    assert path.read_bytes() == CONTENT
    assert len(asked) >= 2
    assert names(path.parent) == [path.name]


def test_what_a_killed_run_left_is_continued(tmp_path):
    """Protects a night's work: a partial file that nobody writes to any more is taken over, one in use is not."""
    path = local(tmp_path)
    with serving(Behaviour(cut=10_000)) as (url, _), pytest.raises(UserError, match="download failed"):
        fetch([url], [PATH], tmp_path)
    left = [part for part in path.parent.glob(".partial-*") if part.suffix != ".json"]
    assert len(left) == 1
    in_use = path.with_name(f".partial-{path.name}.other")
    in_use.write_bytes(b"of another run")
    note = path.with_name(f"{left[0].name}.json")
    have = left[0].stat().st_size
    with serving(Behaviour(), sha1=sha1(CONTENT)) as (again, asked):
        note.write_text(note.read_text().replace(url, again))
        fetch([again], [PATH], tmp_path)
    assert asked == [f"bytes={have}-"]
    assert path.read_bytes() == CONTENT
    assert in_use.read_bytes() == b"of another run"


@pytest.fixture
def read_only(tmp_path):
    """A folder that cannot be written, whoever asks, with one good file in it."""
    folder = tmp_path / "read-only"
    there = local(folder, f"{FOLDER}there.fits")
    there.parent.mkdir(parents=True)
    there.write_bytes(CONTENT)
    if os.geteuid() != 0:
        there.parent.chmod(0o555)
        yield folder
        there.parent.chmod(0o755)
        return
    mounted = subprocess.run(["mount", "--bind", folder, folder]).returncode == 0
    if not mounted or subprocess.run(["mount", "-o", "remount,bind,ro", folder]).returncode != 0:
        pytest.skip("root may write anywhere, and cannot mount here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_what_is_missing_in_a_mirror_that_cannot_be_written(tmp_path, read_only):
    """Protects the users of a shared mirror: its files are used, others go to a folder of the run's own, in the layout
    of the server; without such a folder one line names the setting."""
    overlay = tmp_path / "overlay"
    with serving(Behaviour()) as (url, asked):
        for _ in range(2):  # then it is there
            there, fetched = fetch([url], [f"{FOLDER}there.fits"], read_only, overlay)
            assert (there, fetched.how) == (local(read_only, f"{FOLDER}there.fits"), "there")
            came, _ = fetch([url], [PATH], read_only, overlay)
            assert came == local(overlay)
            assert came.read_bytes() == CONTENT
            header = fetch_beginning([url], PATH, read_only, overlay)
            assert header == local(overlay, f"{PATH}.header")
        assert len(asked) == 2
        with pytest.raises(UserError, match=r"cannot be written \(.*\); .* set data\.mirror to a folder of your own"):
            fetch([url], [PATH], read_only)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("mounting a file system takes root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_without_room_is_named_before_and_while_it_fills(small_disk, monkeypatch):
    """Protects a full disk's user from a traceback: where the server says how much comes nothing is begun; else what
    came stays for the next attempt, and the file has no name."""
    big = CONTENT * 4
    with serving(Behaviour(big)) as (url, asked):
        with pytest.raises(UserError, match=r"takes 2\.1 MB, and 1\.\d MB are free; make room, or set data\.mirror"):
            fetch([url], [PATH], small_disk)
        assert len(asked) == 1
    with serving(Behaviour(big, length=False)) as (url, _):
        monkeypatch.setattr(transfer, "SPARE", 0)
        with pytest.raises(UserError, match=r"cannot be written \(No space left on device\); make room, or set"):
            fetch([url], [PATH], small_disk)
    assert not local(small_disk).exists()


# ---------------------------------------------------------------------------------------------------- other servers


def test_another_server_is_asked_where_one_fails(tmp_path):
    """Protects a release that has further servers: each is asked in turn, what served is known, and where none has the
    file all are named."""
    bad = [Behaviour(status=404), Behaviour(status=403), Behaviour(LOGIN)]
    for number, behaviour in enumerate(bad):
        with serving(behaviour) as (first, _), serving(Behaviour(), sha1=sha1(CONTENT)) as (second, _):
            path, fetched = fetch([first, second], [PATH], tmp_path / str(number))
        assert path.read_bytes() == CONTENT
        assert (fetched.server, fetched.verified) == (second, "the survey's SHA-1")
    with serving(Behaviour(status=404)) as (first, _), serving(Behaviour(status=410)) as (second, _):
        with pytest.raises(MissingFileError) as caught:
            fetch([first, second], [PATH, "/elsewhere"], tmp_path / "none")
        assert str(caught.value).count("no such file") == 2
        assert first in str(caught.value)
        assert second in str(caught.value)
    with serving(Behaviour(status=404)) as (first, _), serving(Behaviour(status=403)) as (second, _):
        with pytest.raises(UserError, match=r"no such file on the server; .*; .* refuses this file") as caught:
            fetch([first, second], [PATH], tmp_path / "none")
        assert not isinstance(caught.value, MissingFileError)


def test_how_much_would_come(tmp_path):
    """Protects the user's disk and patience: sizes are those of the server's files, without what is there."""
    with serving(Behaviour()) as (url, _), serving(Behaviour(status=404)) as (empty, _), new_session() as session:
        assert size_to_come(session, [url], [PATH], tmp_path) == len(CONTENT)
        assert size_to_come(session, [empty, url], [PATH], tmp_path) == len(CONTENT)
        assert size_to_come(session, [empty], [PATH], tmp_path) is None
        assert size_to_come(session, [tmp_path.as_uri()], [PATH], tmp_path) == 0
        fetch([url], [PATH], tmp_path)
        assert size_to_come(session, [url], [f"{PATH}.gz", PATH], tmp_path) == 0


# ----------------------------------------------------------------------------------------------------------- pieces


def test_the_beginning_of_a_large_file(tmp_path):
    """Protects files that lost their headers: of a large file the first blocks come once, whether or not the server
    heeds a range, and nothing is kept where it has none, or refuses."""
    with serving(Behaviour(), Behaviour(ranges=False), Behaviour(status=404)) as (url, asked):
        pieces = [fetch_beginning([url], PATH, tmp_path / name) for name in "aba"]
        assert fetch_beginning([url], PATH, tmp_path / "c") is None
    assert asked == [f"bytes=0-{BEGINNING - 1}"] * 3
    assert [piece.read_bytes() for piece in pieces] == [CONTENT[:BEGINNING]] * 3
    assert pieces[0] == pieces[2]
    with serving(Behaviour(status=403)) as (url, _), pytest.raises(UserError, match="refuses this file"):
        fetch_beginning([url], PATH, tmp_path / "d")
    assert not (tmp_path / "d").exists()
