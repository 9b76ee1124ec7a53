"""Requests for the fuzz: good ones written in other ways, and everything that is wrong with a request.

All of them come from a seed: the same seed and number make the same bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.robustness.odd_words import (
    BEGINNINGS,
    BODIES,
    CHUNKS,
    HARMLESS,
    HOSTS,
    METHODS,
    NAMES,
    ODD,
    PATHS,
    TARGETS,
    VERSIONS,
)
from tests.robustness.raw import websocket_handshake

Headers = list[tuple[bytes, bytes]]

CASES: Sequence[Callable[[bytes], bytes]] = [bytes, bytes.lower, bytes.upper, bytes.title]
FORM = b"application/x-www-form-urlencoded"
JSON = b"application/json"


@dataclass(frozen=True, slots=True)
class Plain:
    """A request that is understood, and the status of its answer."""

    service: str
    method: bytes
    path: bytes
    headers: Headers
    body: bytes
    status: int


def _vote(path: bytes, kind: bytes, body: bytes, status: int, *more: tuple[bytes, bytes]) -> Plain:
    return Plain("vote", b"POST", path, [(b"Content-Type", kind), *more], body, status)


def _get(service: str, path: bytes, status: int = 200) -> Plain:
    return Plain(service, b"GET", path, [], b"", status)


OURS = (b"Origin", b"http://HOST")  # HOST is the one that the request is sent to
SAME = (b"Sec-Fetch-Site", b"same-origin")
CROSS = (b"Sec-Fetch-Site", b"cross-site")
PLAIN: Sequence[Plain] = [
    _vote(b"/", FORM, b"vote=a", 303),
    _vote(b"/", FORM, b"vote=b", 303, OURS, SAME),
    _vote(b"/", FORM, b"vote=%61", 303, SAME),
    _vote(b"/", FORM, b"vote=z", 400),
    _vote(b"/", FORM, b"", 400),
    _vote(b"/", FORM, b"vote=a", 403, (b"Origin", b"null"), CROSS),
    _vote(b"/", FORM, b"vote=a", 403, (b"Origin", b"http://elsewhere.example")),
    _vote(b"/", FORM, b"vote=a", 403, CROSS),
    _vote(b"/", FORM, b"x" * 5000, 413),
    _vote(b"/", JSON, b'{"vote": "a"}', 415),
    _vote(b"/api/votes", JSON, b'{"vote": "a"}', 202),
    _vote(b"/api/votes", JSON, b'{"vote": "b"}', 202, OURS, SAME),
    _vote(b"/api/votes", JSON, b'{"vote": "z"}', 400),
    _vote(b"/api/votes", JSON, b'{"vote": "a"', 400),
    _vote(b"/api/votes", JSON, b'{"vote": "a"}', 403, (b"Origin", b"null")),
    _vote(b"/api/votes", JSON, b" " * 5000, 413),
    _vote(b"/api/votes", FORM, b"vote=a", 415),
    _get("vote", b"/"),
    _get("vote", b"/api/ballot"),
    _get("vote", b"/api/votes", 405),
    _get("vote", b"/nothing", 404),
    _get("result", b"/"),
    _get("result", b"/api/tally"),
    _get("result", b"/api/tally.csv"),
    _get("result", b"/ws", 400),
    _get("result", b"/nothing", 404),
    _get("worker", b"/healthz"),
    _get("worker", b"/nothing", 404),
]


def written(plain: Plain, random: Random) -> bytes:
    """This request in one of the many ways to write it, none of which changes what it means."""
    host = random.choice(HOSTS)
    headers = [(name, value.replace(b"HOST", host)) for name, value in plain.headers]
    target = plain.path
    if random.random() < 0.2:
        is_short = target == b"/" and random.random() < 0.5
        target = random.choice([b"http://", b"HTTP://"]) + host + (b"" if is_short else target)
    headers = [(name, _with_parameter(name, value, random)) for name, value in headers]
    body = plain.body
    if body and random.random() < 0.5:
        headers.append((b"Transfer-Encoding", b"chunked"))
        body = chunked(body, random)
    elif body or plain.method == b"POST":
        headers.append((b"Content-Length", b"%d" % len(body)))
    # one name twice is another request, for some of them
    more = {name: (name, value) for name, value in random.sample(HARMLESS, random.randint(0, 5))}
    headers = [(b"Host", host), *headers, *more.values()]
    random.shuffle(headers)
    return _request(plain.method, target, headers, body, random)


def _with_parameter(name: bytes, value: bytes, random: Random) -> bytes:
    if name != b"Content-Type" or random.random() < 0.5:
        return value
    return random.choice([value + b"; charset=utf-8", value + b";charset=UTF-8", value.upper(), value + b" ; x=y"])


def _request(method: bytes, target: bytes, headers: Headers, body: bytes, random: Random) -> bytes:
    case = random.choice(CASES)
    space = random.choice([b" ", b"", b"\t", b"   "])
    fields = [case(name) + b":" + space + value + space for name, value in headers]
    lines = [method + b" " + target + b" HTTP/1.1", *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(body: bytes, random: Random) -> bytes:
    """The body in chunks of any sizes, with all that a chunk may have."""
    written = b""
    at = 0
    while at < len(body):
        size = random.choice([1, 2, 7, len(body)])
        part = body[at : at + size]
        length = random.choice([b"%x", b"%X", b"0%x"]) % len(part) + random.choice([b"", b"", b";x=y"])
        written += length + b"\r\n" + part + b"\r\n"
        at += size
    return written + b"0\r\n" + random.choice([b"", b"", b"X-Trailer: x\r\n"]) + b"\r\n"


def pieces(sent: bytes, random: Random) -> list[bytes]:
    """The same bytes, cut at any places."""
    cuts = sorted(random.randint(0, len(sent)) for _ in range(random.choice([0, 0, 1, 2, 5])))
    return [sent[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True) if begin < end]


def malformed(random: Random) -> bytes:
    """A request that may be anything."""
    kinds = (_odd_headers, _odd_line, _odd_body, _mutated, _mutated, _pipeline, _websocket, _websocket, _noise)
    return random.choice(kinds)(random)


def _value(random: Random) -> bytes:
    if random.random() < 0.7:
        return random.choice(ODD)
    return random.randbytes(random.randint(0, 60)).translate(None, b"\r\n\0")


def _head(random: Random, *, host: bytes = b"localhost") -> Headers:
    headers = [(b"Host", host)]
    headers += [(random.choice(NAMES), _value(random)) for _ in range(random.choice([0, 1, 1, 2, 3, 8, 120]))]
    random.shuffle(headers)
    return headers


def _odd_headers(random: Random) -> bytes:
    host = random.choice([b"localhost", b"localhost", _value(random)])
    headers = _head(random, host=host)
    if random.random() < 0.1:
        headers = [each for each in headers if each[0] != b"Host"]
    return _request(random.choice(METHODS[:4]), random.choice(PATHS), headers, b"", random)


def _odd_line(random: Random) -> bytes:
    target = random.choice([random.choice(TARGETS), random.choice(PATHS) + _value(random)])
    line = random.choice(METHODS) + b" " + target + b" " + random.choice(VERSIONS)
    return line + b"\r\n" + b"".join(name + b": " + value + b"\r\n" for name, value in _head(random)) + b"\r\n"


def _odd_body(random: Random) -> bytes:
    path = random.choice([b"/", b"/api/votes", *PATHS])
    kind = (b"Content-Type", random.choice([FORM, JSON, _value(random)]))
    body = random.choice(BODIES)
    if random.random() < 0.5:
        length = random.choice([len(body), len(body) + 5, max(len(body) - 5, 0), 10**9])
        framing = [(b"Content-Length", b"%d" % length)]
    else:
        framing = [(b"Transfer-Encoding", random.choice([b"chunked", b"chunked", b"Chunked", b"gzip", b"x, chunked"]))]
        body = b"".join(random.choices(CHUNKS, k=random.randint(1, 4)))
    if random.random() < 0.1:
        framing += [(b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked")]
    if random.random() < 0.2:
        framing.append((b"Expect", b"100-continue"))
    return _request(random.choice(METHODS[:6]), path, [(b"Host", b"localhost"), kind, *framing], body, random)


def _mutated(random: Random) -> bytes:
    """A good request, or a WebSocket's beginning, with a few bytes changed, left out, doubled, or cut off."""
    sent = bytearray(written(random.choice(PLAIN), random) if random.random() < 0.5 else websocket_handshake(b"/ws"))
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(sent) + 1)
        match random.randrange(5):
            case 0:
                sent[at : at + 1] = random.randbytes(1)
            case 1:
                del sent[at : at + random.randint(1, 20)]
            case 2:
                sent[at:at] = random.choice(ODD)
            case 3:
                sent[at:at] = sent[at : at + random.randint(1, 60)]
            case _:
                sent[at:at] = random.choice([b"\r\n", b"\n", b"\0", b"\r", b": ", b" "])
    return bytes(sent[: random.choice([len(sent), len(sent), random.randint(0, len(sent))])])


def _pipeline(random: Random) -> bytes:
    makers = (_odd_headers, _odd_line, _odd_body, lambda it: written(it.choice(PLAIN), it))
    return b"".join(random.choice(makers)(random) for _ in range(random.randint(2, 6)))


def _websocket(random: Random) -> bytes:
    more = [random.choice(NAMES) + b": " + _value(random) for _ in range(random.choice([0, 0, 1, 2]))]
    return websocket_handshake(random.choice([b"/ws", b"/ws", b"/ws", b"/", b"/ws?x"]), *more) + frames(random)


def frames(random: Random) -> bytes:
    """Frames of any kind, masked or not, whole or not."""
    sent = b""
    for _ in range(random.randint(0, 6)):
        payload = random.randbytes(random.choice([0, 1, 2, 100, 125, 126, 1024, 1025]))
        length = len(payload) if random.random() < 0.8 else random.choice([0, 125, 1 << 15])
        told = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
        kind = random.choice([0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8A, 0xC1, random.randrange(256)])
        mask = random.randbytes(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        sent += bytes([kind]) + told + mask + masked
    return sent


def _noise(random: Random) -> bytes:
    return random.choice(BEGINNINGS) + random.randbytes(random.randint(0, 300))
