"""Servers, workers and clients die, hang and lie; jobs finish, and every frame arrives once, whole and in order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from lim_client.errors import JobFailed, NotReachable
from lim_client.job import Job
from lim_protocol import messages as m
from lim_protocol import records
from lim_protocol.wire import encode
from tests.conftest import Server, tube_job, wait_for
from tests.lim_protocol.test_wire import EXAMPLES, frames_of, mutate

FRAMES = 300


@pytest.fixture(scope="module")
def expected(server: Server) -> list[bytes]:
    """The records of an unbroken run."""
    with server.connect() as connection:
        job = connection.submit("track", *tube_job(FRAMES))
        return [bytes(record) for record in job.records()]


def slowly(job: Job, seconds: float) -> Iterator[bytes]:
    for record in job.records():
        yield bytes(record)
        time.sleep(seconds)


def test_server_killed_ten_times(new_server: Callable[..., Server], expected: list[bytes]) -> None:
    server = new_server()
    with server.connect() as connection:
        job, got, rng = connection.submit("track", *tube_job(FRAMES)), [], random.Random(3)
        kill_at = {int(FRAMES * (i + rng.random()) / 10) for i in range(10)}
        for record in job.records():
            got.append(bytes(record))
            if len(got) - 1 in kill_at:
                server.kill()
                server.start()
    assert got == expected
    assert len(kill_at) == 10


def test_worker_killed(new_server: Callable[..., Server], expected: list[bytes]) -> None:
    server = new_server()
    pid = server.worker_pid()
    with server.connect() as connection:
        job = connection.submit("track", *tube_job(FRAMES))
        wait_for(lambda: job.progress is not None)
        os.kill(pid, signal.SIGKILL)
        got = [bytes(record) for record in job.records()]
        assert got == expected
        assert connection.status()["workers"][0]["restarts"] == 1


def test_a_job_that_kills_every_worker_fails_with_the_reason(new_server: Callable[..., Server]) -> None:
    server = new_server()
    with server.connect() as connection:
        job = connection.submit("track", *tube_job(20_000, rings=200))
        for _ in range(2):
            job.progress = None
            wait_for(lambda: job.progress is not None, 60)
            os.kill(connection.status()["workers"][0]["pid"], signal.SIGKILL)
        with pytest.raises(JobFailed, match=r"2 workers died over this job.*SIGKILL") as caught:
            for _ in job.records():
                pass
        assert caught.value.code == "poison"
        assert len(list(connection.submit("track", *tube_job(5)).records())) == 6, "the server lives on"


def test_a_worker_that_hangs_is_killed_and_its_job_finishes(
    new_server: Callable[..., Server], expected: list[bytes]
) -> None:
    server = new_server("--step-limit", "3")
    pid = server.worker_pid()
    with server.connect() as connection:
        os.kill(pid, signal.SIGSTOP)
        got = [bytes(record) for record in connection.submit("track", *tube_job(FRAMES)).records()]
    assert got == expected
    assert "no sign of life for 3 s" in server.log()


def test_a_server_that_hangs_is_waited_for(new_server: Callable[..., Server], expected: list[bytes]) -> None:
    server = new_server()
    with server.connect() as connection:
        job, got = connection.submit("track", *tube_job(FRAMES)), []
        for record in job.records():
            got.append(bytes(record))
            if len(got) == 5:
                server.send(signal.SIGSTOP)
                threading.Timer(3, server.send, [signal.SIGCONT]).start()
    assert got == expected


CLIENT = """
import sys
from lim_client.connection import Connection
from lim_client.endpoint import Endpoint
from tests.conftest import tube_job
with Connection(Endpoint.parse(sys.argv[1]), client="doomed") as connection:
    for record in connection.submit("track", *tube_job(50_000, rings=300)).records():
        print("record", flush=True)
"""


def test_a_killed_client_frees_the_server(new_server: Callable[..., Server]) -> None:
    server = new_server()
    client = subprocess.Popen([sys.executable, "-c", CLIENT, str(server.endpoint)], stdout=subprocess.PIPE)
    assert client.stdout is not None
    client.stdout.readline()
    with server.connect() as connection:
        assert len(connection.status()["jobs"]) == 1
        client.kill()
        client.wait()
        client.stdout.close()
        wait_for(lambda: connection.status()["jobs"] == [] and connection.status()["workers"][0]["state"] == "idle", 10)
        assert connection.status()["sessions"] == 1


def test_cancel_frees_the_worker_at_once(server: Server) -> None:
    with server.connect() as connection:
        job = connection.submit("track", *tube_job(50_001, rings=300))
        wait_for(lambda: job.progress is not None)
        connection.cancel(job)
        started = time.monotonic()
        assert len(list(connection.submit("track", *tube_job(4)).records())) == 5
        assert time.monotonic() - started < 20
        assert connection.status()["jobs"] == []


def test_a_newer_job_supersedes_the_older(server: Server) -> None:
    with server.connect() as connection:
        old = connection.submit("track", *tube_job(50_002, rings=300))
        wait_for(lambda: old.progress is not None)
        new = connection.submit("track", *tube_job(6), supersedes=old)
        assert len(list(new.records())) == 7
        assert [job["records"] for job in connection.status()["jobs"]] == []


def test_a_slow_client_holds_up_nobody(server: Server, expected: list[bytes]) -> None:
    with server.connect() as slow, server.connect() as fast:
        slow_records = slowly(slow.submit("track", *tube_job(FRAMES)), 0.02)
        first = [next(slow_records) for _ in range(3)]
        assert [bytes(r) for r in fast.submit("track", *tube_job(FRAMES)).records()] == expected
        assert [*first, *slow_records] == expected


def test_twenty_thousand_damaged_messages_beside_a_good_client(server: Server, expected: list[bytes]) -> None:
    rng = random.Random(4)
    context = zmq.Context()
    attackers = [context.socket(zmq.DEALER) for _ in range(4)]
    for socket in attackers:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(server.endpoint.address)
        socket.send_multipart(encode(m.Hello(1, 1, "attacker", "", 0)))
    examples = [e for e in EXAMPLES if not isinstance(e, m.Stop)]
    with server.connect() as connection:
        list(connection.submit("track", *tube_job(FRAMES)).records())
        before = rss(server)
        for i in range(20_000):
            frames = mutate(rng, frames_of(rng.choice(examples)))
            if frames and m.Stop.KIND.to_bytes(2, "big") != frames[0][6:8]:
                attackers[i % 4].send_multipart(frames)
            if i % 100 == 0:
                for socket in attackers:
                    while socket.poll(0):
                        socket.recv_multipart()
            if i % 5000 == 0:
                assert [bytes(r) for r in connection.submit("track", *tube_job(FRAMES)).records()] == expected
        assert connection.status()["malformed"] > 10_000
        assert rss(server) - before < 32 << 20
    context.destroy(0)


def test_a_client_that_leaves_before_it_is_answered_leaves_the_server_up(server: Server) -> None:
    """Submits whose inputs are not there, each answered at once, to somebody who has gone meanwhile."""
    assert server.process is not None
    for _ in range(3):
        leaver = zmq.Context.instance().socket(zmq.DEALER)
        leaver.connect(server.endpoint.address)
        leaver.setsockopt(zmq.RCVTIMEO, 20_000)
        leaver.send_multipart(encode(m.Hello(1, 1, "leaver", "", 0)))
        leaver.recv_multipart()
        server.send(signal.SIGSTOP)
        for _ in range(20):
            inputs = [os.urandom(32) for _ in range(1000)]
            submit = m.Submit(os.urandom(16), "track", {}, inputs, np.zeros(1), 0, 8, 0, 0.0, None)
            leaver.send_multipart(encode(submit))
        leaver.close(1000)
        time.sleep(0.2)
        server.send(signal.SIGCONT)
        with server.connect(patience=10) as connection:
            assert connection.status()["ready"] in (True, False)
    assert server.process.poll() is None, server.log()


def rss(server: Server) -> int:
    assert server.process is not None
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096


def test_a_blob_that_is_not_what_its_name_says_is_sent_again(server: Server) -> None:
    params, inputs, times = tube_job(7)
    inputs[1] = records.pack_mesh(records.unpack_mesh(inputs[0]))
    params = {**params, "keys": [[1.0, "a"], [9.0, "liar"], [17.0, "c"]]}
    liar = zmq.Context.instance().socket(zmq.DEALER)
    liar.connect(server.endpoint.address)
    liar.setsockopt(zmq.RCVTIMEO, 20_000)
    record = np.zeros(64, np.uint8)
    fresh = records.pack({"points": np.random.default_rng(5).random((3, 3), np.float32)})
    liar.send_multipart(encode(m.Hello(1, 1, "liar", "", 0)))
    liar.send_multipart(encode(m.Blob(records.digest(fresh), 64, 0, record)))
    liar.recv_multipart()
    liar.recv_multipart()
    liar.close(0)
    inputs[2] = fresh
    with server.connect() as connection, pytest.raises(JobFailed, match="keyframe c: mesh without face_counts"):
        list(connection.submit("track", params, inputs, times).records())


def test_results_that_are_damaged_or_gone_are_made_again(new_server: Callable[..., Server]) -> None:
    server = new_server()
    with server.connect() as connection:
        first = [bytes(r) for r in connection.submit("track", *tube_job(20)).records()]
        cached = connection.submit("track", *tube_job(20))
        assert [bytes(r) for r in cached.records()] == first
        assert cached.summary is not None
        assert cached.summary["cached"]
        for path in server.cache.glob("??/*"):
            content = path.read_bytes()
            if content[:-16] in first[1::3]:
                path.write_bytes(content[:-20] + b"damaged" + content[-13:])
            elif content[:-16] in first[2::3]:
                path.unlink()
        assert [bytes(r) for r in connection.submit("track", *tube_job(20)).records()] == first


def test_a_cache_smaller_than_the_job_still_serves_it(new_server: Callable[..., Server]) -> None:
    server = new_server("--cache-size", str(2 << 20))
    with server.connect() as connection:
        job = connection.submit("track", *tube_job(2500, rings=100))
        assert sum(1 for _ in job.records()) == 2501


def test_more_jobs_than_the_queue_takes_all_finish(new_server: Callable[..., Server]) -> None:
    server = new_server("--queue", "2")
    with server.connect() as connection:
        jobs = [connection.submit("track", *tube_job(10 + i)) for i in range(6)]
        assert [sum(1 for _ in job.records()) for job in jobs] == [11 + i for i in range(6)]
        assert connection.status()["counts"]["rejected"] > 0


def test_a_worker_that_cannot_start_is_said_with_the_reason(new_server: Callable[..., Server]) -> None:
    server = new_server("--device", "cuda:7")
    with server.connect() as connection:
        with pytest.raises(JobFailed, match=r"no worker starts: worker cuda:7 ended with exit code 1") as caught:
            list(connection.submit("track", *tube_job(4)).records())
        assert caught.value.code == "no-worker"
        assert connection.status()["ready"] is False
    assert "cuda" in server.log().lower()


def test_nobody_there_is_said_with_what_to_do(short_tmp: object) -> None:
    server = Server(short_tmp)  # type: ignore[arg-type]
    with pytest.raises(NotReachable, match="no answer from ipc"):
        server.connect(patience=1.0)
