"""What counts as an answer of a server."""

import socket
import threading
from pathlib import Path

import pytest

from local import answers
from local.sockets import POSTGRES_SOCKET, REDIS_SOCKET

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
    assert answers.postgres(tmp_path) is counts
    server.join(5)


@pytest.mark.parametrize(("answer", "counts"), [(b"+PONG\r\n", True), (b"-LOADING Redis is loading\r\n", False)])
def test_redis_answers_once_its_data_is_loaded(tmp_path: Path, answer: bytes, counts: bool) -> None:
    server = answer_once(tmp_path / REDIS_SOCKET, answer)
    assert answers.redis(tmp_path) is counts
    server.join(5)


def test_a_server_that_is_not_there_does_not_answer(tmp_path: Path) -> None:
    assert not answers.postgres(tmp_path)
    assert not answers.redis(tmp_path)
