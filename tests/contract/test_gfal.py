"""Workers and pools of the real gfal2, by its mock and file plug-ins: what is promised of them whatever a storage does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qostui.adapters import gfal
from qostui.adapters.gfal import CERTIFICATE, NOBODY, PROXY, TOKEN, Bearing, Worker
from qostui.adapters.gfal_errors import GfalMissing
from qostui.adapters.gfal_pools import Pool, Pools
from qostui.domain.errors import ConnectionProblem, NotFoundProblem, ServerProblem
from qostui.domain.profile import Secret
from qostui.services.feeds import Cancelled
from qostui.services.lanes import Lane
from tests.functional.terminals import ROOT

HANGS = "mock://h/p?size=3&wait=60"
SECRET = "made-up-token-0123456789"


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker(Bearing(NOBODY))
    yield made
    made.close()


def gone(pid: int) -> bool:
    """Whether a process is gone, or only waits for whoever adopted it to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def until(condition: Callable[[], object], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(condition())


def test_it_answers_and_stays_the_same_process(worker: Worker, tmp_path: Path) -> None:
    assert worker.call("ping", 20) == "pong"
    first = worker.pid
    (tmp_path / "f").write_bytes(b"12345")
    assert worker.call("stat", 20, url=f"file://{tmp_path}/f")["size"] == 5
    with pytest.raises(NotFoundProblem):
        worker.call("stat", 20, url=f"file://{tmp_path}/none")
    assert worker.pid == first
    assert worker.gfal2.startswith("2.")


def test_a_listing_comes_in_batches(worker: Worker, tmp_path: Path) -> None:
    names = {f"f{number:04d}" for number in range(2500)}
    for name in names:
        (tmp_path / name).touch()
    batches = list(worker.stream("ls", 60, url=f"file://{tmp_path}"))
    assert [len(batch) for batch in batches] == [100, 1000, 1000, 400]
    assert {row[0] for batch in batches for row in batch} == names
    assert sum(len(batch) for batch in worker.stream("ls", 60, url=f"file://{tmp_path}", limit=7)) == 7


def test_one_that_hangs_is_killed_at_its_limit_and_the_next_call_has_a_new_one(worker: Worker) -> None:
    worker.call("ping", 20)
    first = worker.pid
    assert first is not None
    with pytest.raises(ConnectionProblem, match="gives no answer in time"):
        worker.call("stat", 0.2, url=HANGS)
    assert gone(first)
    assert worker.pid is None
    assert worker.call("ping", 20) == "pong"
    assert worker.pid != first


def test_cancelling_ends_a_call_at_once(worker: Worker) -> None:
    lane = Lane("test")
    worker.call("ping", 20)
    threading.Timer(0.1, lane.cancel).start()
    with pytest.raises(Cancelled):
        worker.call("stat", 60, lane, url=HANGS)
    assert worker.pid is None


def test_who_cancels_late_does_not_hit_the_next_one(worker: Worker) -> None:
    lane = Lane("test")
    worker.call("ping", 20, lane)
    first = worker.pid
    lane.cancel()
    assert worker.call("stat", 20, url="mock://h/p?size=3&wait=1")["size"] == 3
    assert worker.pid == first


def test_dropping_a_listing_ends_the_process(worker: Worker, tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / str(number)).touch()
    listing = worker.stream("ls", 20, url=f"file://{tmp_path}")
    next(listing)
    listing.close()
    assert worker.pid is None
    assert worker.call("ping", 20) == "pong"


def test_one_that_breaks_down_is_said_and_replaced(worker: Worker) -> None:
    worker.call("ping", 20)
    pid = worker.pid
    assert pid is not None
    threading.Timer(0.2, os.kill, (pid, signal.SIGSEGV)).start()
    with pytest.raises(ServerProblem, match="gfal2 broke down") as caught:
        worker.call("stat", 60, url=HANGS)
    assert "exit status -11" in caught.value.detail
    assert worker.call("ping", 20) == "pong"


def test_the_end_of_the_calling_thread_is_not_the_end_of_the_worker(worker: Worker) -> None:
    thread = threading.Thread(target=worker.call, args=("ping", 20))
    thread.start()
    thread.join()
    pid = worker.pid
    assert pid is not None
    assert worker.call("stat", 20, url="mock://h/p?size=3&wait=1")["size"] == 3
    assert worker.pid == pid


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_no_worker_outlives_the_console(how: str) -> None:
    code = (
        "import sys\n"
        "from qostui.adapters.gfal import Bearing, NOBODY\n"
        "from qostui.adapters.gfal_pools import POOLS\n"
        "with POOLS.pool(Bearing(NOBODY)).lend() as worker:\n"
        "    worker.call('ping', 20)\n"
        "print(worker.pid, flush=True)\n"
        "sys.stdin.readline()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env={"PYTHONPATH": ROOT}
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert not gone(pid)
    if how == "killed":
        parent.kill()
    else:
        parent.stdin.write(b"\n")
        parent.stdin.close()
    parent.wait()
    parent.stdout.close()
    assert until(lambda: gone(pid))


def test_without_gfal2_it_says_where_it_looked(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QOSTUI_GFAL_PYTHON", sys.executable)
    with pytest.raises(GfalMissing, match="No module named 'gfal2'") as caught:
        worker.call("ping", 20)
    assert sys.executable in caught.value.summary
    monkeypatch.setenv("QOSTUI_GFAL_PYTHON", "/no/such/python")
    with pytest.raises(GfalMissing, match="/no/such/python: No such file"):
        worker.call("ping", 20)


@pytest.mark.parametrize(
    ("kind", "variable", "log_in"),
    [(PROXY, "X509_USER_PROXY", "gsi"), (CERTIFICATE, "X509_USER_PROXY", "gsi"), (TOKEN, "BEARER_TOKEN_FILE", "ztn")],
)
def test_the_environment_is_made_from_nothing(kind: str, variable: str, log_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BEARER_TOKEN", "BEARER_TOKEN_FILE", "X509_USER_PROXY", "X509_CERT_DIR", "HOME", "XDG_RUNTIME_DIR", "LD_PRELOAD"):
        monkeypatch.setenv(name, "/bait")
    bearing = Bearing(kind, Secret(SECRET), Path("/ca"))
    environment = bearing.environment(7)
    assert environment[variable] == "/proc/self/fd/7"
    assert environment["XrdSecPROTOCOL"] == log_in
    assert environment["X509_CERT_DIR"] == "/ca"
    assert environment["X509_USER_PROXY"] in ("/proc/self/fd/7", gfal.NOWHERE)
    assert "/bait" not in environment.values()
    assert SECRET not in repr((bearing, environment, bearing.version))


def test_the_credential_reaches_the_worker_and_nothing_else(tmp_path: Path) -> None:
    worker = Worker(Bearing(TOKEN, Secret(SECRET)))
    try:
        worker.call("ping", 20)
        arguments = Path(f"/proc/{worker.pid}/cmdline").read_bytes()
        assert SECRET.encode() not in arguments
        with pytest.raises(NotFoundProblem) as caught:
            worker.call("stat", 20, url=f"file://{tmp_path}/{SECRET}")
        assert SECRET not in f"{caught.value.summary}{caught.value.detail}{caught.value.step}"
    finally:
        worker.close()


def test_each_version_of_a_credential_has_a_pool_and_the_older_retires() -> None:
    pools = Pools()
    old, new, other = (Bearing(TOKEN, Secret(text), owner=owner) for text, owner in (("t1", "a"), ("t2", "a"), ("t1", "b")))
    try:
        with pools.pool(other).lend() as theirs:
            theirs.call("ping", 20)
        with pools.pool(old).lend() as busy:
            busy.call("ping", 20)
            assert pools.pool(Bearing(TOKEN, Secret("t1"), owner="a")).bearing.version == old.version
            with pools.pool(new).lend() as fresh:
                assert fresh is not busy
            assert busy.pid is not None, "what is under way goes on"
        assert busy.pid is None, "and ends when it is given back"
        assert theirs.pid is not None
        pools.rest("b")
        assert theirs.pid is None
        with pools.pool(other).lend() as theirs:
            theirs.call("ping", 20)
        pools.retire("b")
        assert theirs.pid is None
    finally:
        pools.close()


def test_a_pool_lends_each_worker_to_one_at_a_time_and_not_more_than_its_size() -> None:
    pool = Pool(Bearing(NOBODY), size=2)
    lent: set[Worker] = set()
    most: list[int] = []
    lock = threading.Lock()

    def use() -> None:
        with pool.lend() as worker:
            with lock:
                assert worker not in lent
                lent.add(worker)
                most.append(len(lent))
            worker.call("ping", 20)
            with lock:
                lent.discard(worker)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 8
    assert max(most) <= 2
    pool.kill()


def test_who_waits_for_a_worker_can_be_cancelled() -> None:
    pool, lane = Pool(Bearing(NOBODY), size=1), Lane("test")
    with pool.lend():
        lane.cancel()
        with pytest.raises(Cancelled), pool.lend(lane):
            raise AssertionError("it was lent twice")
    pool.kill()


def test_killing_a_pool_ends_what_is_under_way() -> None:
    pool = Pool(Bearing(NOBODY))
    with pool.lend() as worker:
        worker.call("ping", 20)
        threading.Timer(0.1, pool.kill).start()
        with pytest.raises(ServerProblem):
            worker.call("stat", 60, url=HANGS)
    assert worker.pid is None


def test_one_that_was_ended_is_not_started_again(worker: Worker) -> None:
    worker.end()
    with pytest.raises(ServerProblem):
        worker.call("ping", 20)
    assert worker.pid is None
