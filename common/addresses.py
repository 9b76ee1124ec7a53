"""The addresses that connections come from, as those who count them need them: limits of votes and of connections."""

from ipaddress import IPv4Address, IPv6Address, ip_address


def ip_of(text: str) -> IPv4Address | IPv6Address | None:
    """The address without its zone, the IPv4 one if it only stands in IPv6's form; None for a UNIX socket's."""
    try:
        ip = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def network_of(ip: IPv6Address, bits: int) -> str:
    """The network of this many bits. One of 64 is one household's, which has 2^64 addresses to choose from."""
    return f"{IPv6Address(int(ip) >> 128 - bits << 128 - bits)}/{bits}"
