"""Who may come in: nobody from other machines without a key on the list."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lim_client import keys
from lim_client.connection import Connection
from lim_client.endpoint import Endpoint
from lim_client.errors import AccessDenied, NotReachable, ServerError
from lim_server.serve.doors import DoorError, check
from tests.conftest import Server, tube_job


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    "endpoint", ["tcp://0.0.0.0:5557", "tcp://*:5557", "tcp://192.168.1.2:5557", "tcp://[::]:5557"]
)
def test_an_address_that_others_can_reach_needs_keys(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(DoorError, match=r"lim keys make.*lim keys allow.*--curve"):
        check(endpoint, tmp_path, curve=False)


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:5557", "tcp://localhost:1", "tcp://127.8.8.8:*"])
def test_loopback_needs_none(tmp_path: Path, endpoint: str) -> None:
    assert check(endpoint, tmp_path, curve=False) is False


def test_curve_needs_a_key_and_somebody_to_let_in(tmp_path: Path) -> None:
    with pytest.raises(DoorError, match=r"no server\.key_secret"):
        check("tcp://0.0.0.0:1", tmp_path, curve=True)
    keys.make(tmp_path)
    with pytest.raises(DoorError, match="no client is allowed"):
        check("tcp://0.0.0.0:1", tmp_path, curve=True)
    keys.allow(tmp_path, "me", keys.public_key(tmp_path, "client"))
    assert check("tcp://0.0.0.0:1", tmp_path, curve=True) is True


def test_a_socket_needs_a_folder_of_its_own(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(DoorError, match="mode 700"):
        check(f"ipc://{tmp_path}/s.ipc", tmp_path, curve=False)
    with pytest.raises(DoorError, match="no such folder"):
        check(f"ipc://{tmp_path}/none/s.ipc", tmp_path, curve=False)
    with pytest.raises(DoorError, match="107 bytes"):
        check(f"ipc://{tmp_path}/{'x' * 100}.ipc", tmp_path, curve=False)


def serve(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lim_server.serve", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_refuses_to_start_and_says_how(short_tmp: Path) -> None:
    places = ["--folder", short_tmp, "--cache", short_tmp / "cache", "--keys", short_tmp / "keys"]
    result = serve("--bind", "tcp://0.0.0.0:5557", *places)
    assert result.returncode == 3
    assert "lim keys make" in result.stderr


def test_a_second_server_at_the_same_place_refuses(new_server: Callable[..., Server]) -> None:
    server = new_server()
    with server.connect():
        places = ["--folder", server.folder, "--cache", server.cache, "--keys", server.keys]
        result = serve("--bind", server.endpoint.address, *places)
    assert result.returncode == 3
    assert server.process is not None
    assert f"process {server.process.pid}" in result.stderr


@pytest.fixture
def curve_server(new_server: Callable[..., Server], short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("LIM_KEYS_DIR", str(short_tmp / "keys"))
    keys.make(short_tmp / "keys")
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    prepared = short_tmp / "prepared"
    keys.make(prepared)
    keys.allow(prepared, "artist", keys.public_key(short_tmp / "keys", "client"))
    server = new_server("--curve", "--keys", str(prepared), endpoint=endpoint)
    server.endpoint = Endpoint.parse(f"{endpoint}?key={keys.public_key(prepared, 'server')}")
    server.keys = prepared
    return server


def test_a_listed_key_gets_in_and_may_stop_the_server(curve_server: Server) -> None:
    with curve_server.connect() as connection:
        assert len(list(connection.submit("track", *tube_job(4)).records())) == 5
        connection.stop()
    assert curve_server.process is not None
    assert curve_server.process.wait(10) == 0


def test_an_unlisted_key_is_refused_at_once(
    curve_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with curve_server.connect():
        monkeypatch.setenv("LIM_KEYS_DIR", str(tmp_path))
        keys.make(tmp_path)
        with pytest.raises(AccessDenied, match="does not know this client's key"):
            curve_server.connect(patience=10)
    (curve_server.keys / "allowed" / "other.key").write_text("")
    keys.allow(curve_server.keys, "other", keys.public_key(tmp_path, "client"))
    with curve_server.connect(patience=10) as connection:
        assert connection.status()["sessions"] == 1, "the list is read afresh"


def test_a_client_without_a_key_is_refused(curve_server: Server) -> None:
    with curve_server.connect():
        bare = Endpoint(curve_server.endpoint.address)
        with pytest.raises(ServerError):
            Connection(bare, client="test", patience=4)


def test_loopback_clients_may_not_stop_the_server(new_server: Callable[..., Server]) -> None:
    server = new_server(endpoint=f"tcp://127.0.0.1:{free_port()}")
    with server.connect() as connection, pytest.raises(ServerError, match="stop process"):
        connection.stop()


@pytest.mark.parametrize("text", ["", "tcp://host", "http://host:1", "ipc://relative", "tcp://host:1?key=short"])
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="tcp://host:port"):
        Endpoint.parse(text)


def test_an_endpoint_reads_back_as_written() -> None:
    for text in ("ipc:///run/lim/s.ipc", "tcp://127.0.0.1:5557", f"tcp://farm01:5557?key={'0a' * 32}"):
        assert str(Endpoint.parse(text)) == text


def test_no_server_no_wait_for_ever() -> None:
    with pytest.raises(NotReachable):
        Connection(Endpoint.parse(f"tcp://127.0.0.1:{free_port()}"), client="test", patience=1)
