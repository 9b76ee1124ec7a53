"""Where the sockets of the embedded servers go."""

import os
from pathlib import Path

import pytest

from local.errors import LocalError
from local.sockets import LONGEST_PATH, POSTGRES_SOCKET, make_socket_folder, socket_folder


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
