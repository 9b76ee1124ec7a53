"""`make up` with a certificate."""

from pathlib import Path

import pytest
import trustme

from tests.system import running_system
from tests.waiting import eventually

pytestmark = [pytest.mark.platform, pytest.mark.timeout(120)]


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
