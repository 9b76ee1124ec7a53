"""Mistakes in the settings are told by `make up`, and by each service alone, before anything starts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from local import running
from tests.integration.copies import Up
from tests.ports import free_port
from tests.services import PROJECT
from tests.system import running_system
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(120)

MISTAKES = {
    "VOTE_PORT": "50x",
    "HOST": "x86_64-conda-linux-gnu",
    "TALLYHO_ENV": "production",
    "SECRET_KEY": "",
    "TLS_CERTIFICATE": "/nowhere/chain.pem",
    "TLS_KEY": "/nowhere/key.pem",
    "VOTE_URL": "vote.example.org",
}


def refused(project: Path, *parts: str, **environ: str) -> list[str]:
    """The lines of a `make up` that starts nothing."""
    up = Up(project, *parts, **environ)
    try:
        assert up.process.wait(60) == 1
    finally:
        up.close()
    assert running.read(up.data) is None
    assert not (up.data / "postgres").exists()
    assert "Traceback" not in "".join(up.lines)
    return [line.rstrip("\n") for line in up.lines]


def test_all_mistakes_are_told_together_before_anything_starts(project: Path) -> None:
    first, *lines = refused(project, "vote", "result", "cache", **MISTAKES, DATA_DIR=__file__)

    assert first == "8 settings are wrong:"
    assert [line.split("=")[0].split(":")[0].strip() for line in lines] == [
        "VOTE_PORT",
        "VOTE_URL",
        "TLS_CERTIFICATE",
        "TLS_KEY",
        "HOST",
        "SECRET_KEY",
        "there is no part 'cache'",
        "DATA_DIR",
    ]


def test_one_mistake_alone_is_one_line(project: Path) -> None:
    assert refused(project, VOTE_PORT="50x") == ["VOTE_PORT=50x: must be a whole number from 1 to 65535"]


@pytest.mark.parametrize("host", ["nonsense", "203.0.113.9", "2001:db8::7"])
def test_a_host_that_is_not_this_machine_is_told_at_once(project: Path, host: str) -> None:
    (line,) = refused(project, HOST=host)

    assert line.startswith(f"HOST={host}: this machine has no such address")


def test_ports_that_are_equal_or_taken_are_told(project: Path) -> None:
    port = str(free_port())
    lines = refused(project, VOTE_PORT=port, RESULT_PORT=port, WORKER_PORT=port)

    assert lines[1:] == [
        f"  {one} and {other} are both {port}: set one of them to another port"
        for one, other in (("VOTE_PORT", "RESULT_PORT"), ("VOTE_PORT", "WORKER_PORT"), ("RESULT_PORT", "WORKER_PORT"))
    ]


@pytest.mark.parametrize("target", ["up", "down"])
def test_part_where_parts_is_meant_is_told_and_nothing_else_is_done(shared: Up, target: str) -> None:
    """`make down PART=worker` would stop everything, and `make up PART=vote` start everything."""
    shared.environ["PART"] = "vote"
    try:
        told = f"PART=vote: make {target} takes PARTS, e.g. make {target} PARTS=vote; PART is for make restart\n"
        assert shared.run(target) == (1, told)
    finally:
        del shared.environ["PART"]
    assert shared.process.poll() is None


def test_a_line_of_env_that_can_not_be_read_is_told_with_its_number_and_not_its_value(project: Path) -> None:
    (project / ".env").write_text("# ours\nQUESTION=Tea?\nSECRET_KEY s3cret\n'BATCH_SIZE=3\n", encoding="utf-8")
    text = "\n".join(refused(project))

    assert ".env, line 3: can't be read; write NAME=value" in text
    assert ".env, line 4: can't be read" in text
    assert "s3cret" not in text


def test_an_env_that_is_no_text_is_told(project: Path) -> None:
    (project / ".env").write_bytes(b"QUESTION=\xff\n")

    assert refused(project) == [".env can't be read: it is not UTF-8 text"]


def test_what_looks_like_a_setting_is_warned_of_once_and_all_starts(project: Path) -> None:
    up = Up(project, OPTON_C="Birds", OPTION_AA="Ants", OPTIONS="-v")
    try:
        up.until_ready()
    finally:
        up.close()
    text = "".join(up.lines)
    for name, advice in (
        ("OPTON_C", "did you mean OPTION_C?"),
        ("OPTION_AA", "an option is one of OPTION_A to OPTION_Z"),
        ("OPTIONS", "an option is one of OPTION_A to OPTION_Z"),
    ):
        assert text.count(f"{name} is not read") == 1
        assert f"warning: {name} is not read: {advice}\n" in text


def test_the_workers_other_port_is_told(project: Path) -> None:
    up = Up(project, "worker", WORKER_PORT="", VOTE_PORT="9100")
    try:
        line = up.until_line("worker's health and metrics are on port")
        assert (found := re.search(r"^port 9100 is taken: .* on port (\d+)$", line))
        assert up.facts().worker_url == f"http://localhost:{found[1]}"
    finally:
        up.close()


@pytest.mark.parametrize(
    ("service", "names"),
    [
        ("vote", {"VOTE_PORT", "VOTE_URL", "TLS_CERTIFICATE", "TLS_KEY", "HOST", "SECRET_KEY"}),
        ("result", {"VOTE_PORT", "VOTE_URL", "TLS_CERTIFICATE", "TLS_KEY", "HOST"}),
        ("worker", {"VOTE_PORT", "VOTE_URL", "HOST"}),
    ],
)
def test_a_service_alone_tells_all_mistakes_that_concern_it(service: str, names: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", service],
        cwd=PROJECT,
        env=os.environ | MISTAKES,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    first, *lines = done.stderr.splitlines()
    assert first == f"{service}: {len(names)} settings are wrong:"
    assert {line.split("=")[0].split(":")[0].strip() for line in lines} == names


def test_make_up_with_a_certificate_is_ready_and_gives_addresses_that_speak_tls(tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("another.example")  # not this machine's name, as on a real one
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    settings = {"TLS_CERTIFICATE": str(certificate), "TLS_KEY": str(key)}
    with running_system(tmp_path / "data", settings) as system:
        eventually(lambda: "tallyho is ready" in system.log.read_text(), within=20, saying="it is ready")
        facts = system.facts()
    assert facts.vote_url.startswith("https://")
    assert facts.result_url.startswith("https://")
    assert facts.worker_url.startswith("http://")
    assert facts.vote_url in system.log.read_text()
