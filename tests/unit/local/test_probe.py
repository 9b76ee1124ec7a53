"""Where the embedded servers' sockets are, and what counts as an answer of a server."""

import os
import socket
import threading
from pathlib import Path

import pytest

from local.errors import LocalError
from local.probe import (
    LONGEST_PATH,
    POSTGRES_SOCKET,
    REDIS_SOCKET,
    make_socket_folder,
    postgres_answers,
    redis_answers,
    socket_folder,
)

STARTS = b"E\x00\x00\x00\x2aSFATAL\x00C57P03\x00Mthe database system is starting up\x00\x00"
NO_DATABASE = b"E\x00\x00\x00\x2aSFATAL\x00C3D000\x00Mdatabase does not exist\x00\x00"
WELCOME = b"R\x00\x00\x00\x08\x00\x00\x00\x00"


def answer_once(path: Path, answer: bytes) -> threading.Thread:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        with server, server.accept()[0] as connection:
            connection.recv(1000)
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize(("answer", "counts"), [(WELCOME, True), (NO_DATABASE, True), (STARTS, False), (b"", False)])
def test_postgresql_answers_unless_it_says_that_it_takes_no_connections(
    tmp_path: Path, answer: bytes, counts: bool
) -> None:
    server = answer_once(tmp_path / POSTGRES_SOCKET, answer)
    assert postgres_answers(tmp_path) is counts
    server.join(5)


@pytest.mark.parametrize(("answer", "counts"), [(b"+PONG\r\n", True), (b"-LOADING Redis is loading\r\n", False)])
def test_redis_answers_once_its_data_is_loaded(tmp_path: Path, answer: bytes, counts: bool) -> None:
    server = answer_once(tmp_path / REDIS_SOCKET, answer)
    assert redis_answers(tmp_path) is counts
    server.join(5)


def test_a_server_that_is_not_there_does_not_answer(tmp_path: Path) -> None:
    assert not postgres_answers(tmp_path)
    assert not redis_answers(tmp_path)


def test_the_sockets_are_in_the_data_folder_where_the_path_is_short_enough() -> None:
    assert socket_folder(Path("/project/.data")) == Path("/project/.data/run")


@pytest.mark.parametrize("data", [Path("/") / ("deep/" * 30), Path("/a,b/.data"), Path("/") / ("ü" * 50)])
def test_a_folder_whose_path_no_socket_can_have_gets_a_short_one(data: Path) -> None:
    folder = socket_folder(data)
    assert folder.parent == Path("/tmp").resolve()
    assert len(os.fsencode(folder / POSTGRES_SOCKET)) <= LONGEST_PATH


def test_two_deep_folders_have_sockets_of_their_own() -> None:
    assert socket_folder(Path("/") / ("deep/" * 30)) != socket_folder(Path("/") / ("deeper/" * 30))


def test_a_link_in_place_of_the_short_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sockets").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LocalError, match="belongs to somebody else"):
        make_socket_folder(tmp_path / "sockets")
