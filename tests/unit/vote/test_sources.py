"""Whom an address is counted for: a household, and its network; an IPv4 address in disguise is what it is."""

import pytest

from vote.limits import Source, source_of


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("198.51.100.7", Source("198.51.100.7")),
        ("2001:db8:1:2:3:4:5:6", Source("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("2001:db8:1:2:ffff::1", Source("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("fe80::1%eth0", Source("fe80::/64", "fe80::/48")),
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("<local>", None),
        (None, None),
    ],
)
def test_an_address_is_counted_for_whom_it_belongs_to(address: str | None, source: Source | None) -> None:
    assert source_of(address) == source


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:198.51.100.7",
        "2002:c633:6407::1",  # 6to4: who has an IPv4 address has 2^80 of these
        "2002:c633:6407:ffff::1",
        "2001:0:4136:e378:8000:63bf:39cc:9bf8",  # Teredo: the last 32 bits, inverted
        "64:ff9b::198.51.100.7",  # NAT64: everybody's IPv4 is in this network of 96 bits
        "::ffff:0:198.51.100.7",  # SIIT
    ],
)
def test_an_ipv4_address_in_disguise_is_counted_for_the_same(address: str) -> None:
    assert source_of(address) == Source("198.51.100.7")


def test_a_disguise_makes_nobody_this_machine_itself() -> None:
    """Loopback is not limited; a packet that says so from outside is a lie, or a fault."""
    for address in ("2002:7f00:1::1", "64:ff9b::127.0.0.1", "::ffff:0:127.0.0.1"):
        assert source_of(address) == Source("127.0.0.1")


def test_addresses_of_a_translator_of_its_own_are_counted_one_by_one() -> None:
    """Where the IPv4 address is in them only its operator knows, and nobody may choose one."""
    assert source_of("64:ff9b:1::1") == Source("64:ff9b:1::1")
    assert source_of("64:ff9b:1::2") == Source("64:ff9b:1::2")
