"""Fetching files: linked from a folder, downloaded from a server, and what happens when that fails."""

import gc
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import tenacity

from bosscal.base.errors import UserError
from bosscal.survey.fetch import ATTEMPTS, fetch

PATH = "/sas/dr12/boss/spectro/redux/v5_7_0/platelist.fits"
CONTENT = bytes(range(256)) * 4096


@contextmanager
def serving(answers):
    """A server on loopback that gives one answer after the other, and counts the requests."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            answer = answers[min(len(asked), len(answers)) - 1]
            if answer == "cut":
                self.send_response(200)
                self.send_header("Content-Length", str(len(CONTENT)))
                self.end_headers()
                self.wfile.write(CONTENT[:1000])
                return
            self.send_response(answer)
            self.send_header("Content-Length", str(len(CONTENT) if answer == 200 else 0))
            self.end_headers()
            if answer == 200:
                self.wfile.write(CONTENT)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# bossdata leaves the socket of a failed download to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(tenacity.nap.time, "sleep", lambda seconds: None)
    yield
    gc.collect()


def test_a_folder_is_linked_never_copied(tmp_path):
    """Protects disks from second copies of a mirror, also where its path has blanks."""
    server = tmp_path / "my server"
    source = server / PATH.lstrip("/")
    source.parent.mkdir(parents=True)
    source.write_bytes(CONTENT)
    link = tmp_path / "mirror" / PATH.lstrip("/")
    fetch(server.as_uri(), PATH, link)
    assert link.is_symlink()
    assert link.resolve() == source


def test_a_file_that_is_there_is_not_fetched_again(tmp_path):
    """Protects a mirror that was filled by other means."""
    local = tmp_path / PATH.lstrip("/")
    local.parent.mkdir(parents=True)
    local.write_bytes(b"mine")
    with serving([200]) as (url, asked):
        fetch(url, PATH, local)
    assert asked == []
    assert local.read_bytes() == b"mine"


@pytest.mark.parametrize("answers", [[200], [503, 200], ["cut", "cut", 200]])
def test_a_download_is_complete_or_retried(tmp_path, answers):
    """Protects against files cut short by a bad connection, and against giving up at the first hiccup."""
    with serving(answers) as (url, asked):
        fetch(url, PATH, tmp_path / "dr12" / "platelist.fits")
    assert (tmp_path / "dr12" / "platelist.fits").read_bytes() == CONTENT
    assert len(asked) == len(answers)


@pytest.mark.parametrize(
    ("answers", "message", "attempts"),
    [([404], "no such file on the server; check plate", 1), (["cut"], f"download failed after {ATTEMPTS}", ATTEMPTS)],
)
def test_a_failed_download_is_one_line_and_leaves_no_file(tmp_path, answers, message, attempts):
    """Protects the mirror from damaged files, and the server from being asked again for what it does not have."""
    with serving(answers) as (url, asked), pytest.raises(UserError, match=f"{url}{PATH}: {message}"):
        fetch(url, PATH, tmp_path / "platelist.fits")
    assert len(asked) == attempts
    assert not (tmp_path / "platelist.fits").exists()


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
