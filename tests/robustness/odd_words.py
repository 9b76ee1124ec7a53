"""What the fuzz puts where a request has a host, a header, a target or a body: words that are nearly right, or not."""

HOSTS = b"localhost localhost:5000 my_vote_1:5000 [::1]:5000 POLL.example 10.0.0.7 poll.example.".split()

# Headers that change nothing of what a request means, whatever they say.
HARMLESS = [
    (b"Accept", b"text/html;q=0.9, */*"),
    (b"Accept-Language", b"de"),
    (b"User-Agent", b"Mozilla/5.0 \xff"),
    (b"Cookie", b"a=b; voter_id=x; c"),
    (b"Referer", b"http://["),
    (b"X-Forwarded-For", b"203.0.113.9, nonsense"),
    (b"X-Forwarded-Host", b"a..b"),
    (b"Forwarded", b'for="[::";host=".a";proto=x'),
    (b"traceparent", b"00-zz"),
    (b"If-None-Match", b'"x", W/"'),
    (b"Range", b"bytes=9-1"),
    (b"Expect", b"100-continue"),
    (b"Connection", b"keep-alive"),
    (b"Upgrade", b"h2c"),
    (b"X-Many", b"x" * 3000),
]

# As a header's value.
ODD = b"""
    a..b .a localhost:x user@host http://[ [ [:: null * */*;q=nan = ; , " %00 %ff%fe \xff\xfe \x7f
    bytes=- bytes=9-1 bytes=0-0,-1,5- a=b;;;= W/" "\xff" -1 +1 0x10 1_0 999999999999999999999999999999
    chunked identity close upgrade websocket h2c TLS/1.0 100-continue 200-maybe 13 8
    multipart/form-data multipart/form-data;boundary= application/json;charset=\xff gzip;q=-1,*;q=9e999
    for=unknown;host=a..b for="[::1 203.0.113.9:99999 ::ffff:1.2.3.4%eth0 voter_id=a.b.c;voter_id=d
    $Version=1;voter_id="
""".split()
ODD += [b"", b" ", b"a" * 64, b"x" * 9000, b"text/html;" * 99, b"voter_id=" + b"\xff" * 40, b"gzip, chunked", b"1, 1"]
ODD += [b"chunked, chunked", b"keep-alive, upgrade", b"Basic \xff", b'Digest x="', b"bytes=0-0," * 50]
ODD += [b"Thu, 99 Foo 99999 99:99:99 GMT", b"Sat, 01 Jan 0000 00:00:00 GMT", b"Mon, 01 Jan 1 00:00:00 +9999"]

NAMES = b"""
    Host Origin Cookie Accept Accept-Encoding Accept-Language Authorization Connection Content-Encoding Content-Length
    Content-Type Date Expect Forwarded HTTP2-Settings If-Match If-Modified-Since If-None-Match If-Range
    If-Unmodified-Since Keep-Alive Max-Forwards Proxy-Connection Range Referer Sec-Fetch-Mode Sec-Fetch-Site
    Sec-WebSocket-Accept Sec-WebSocket-Extensions Sec-WebSocket-Key Sec-WebSocket-Protocol Sec-WebSocket-Version TE
    Trailer Transfer-Encoding Upgrade Via X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto Remote-Addr traceparent
    tracestate X-HTTP-Method-Override
""".split()

METHODS = (
    b"GET POST HEAD OPTIONS PUT DELETE PATCH TRACE CONNECT PRI get G\xff FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF".split()
)
VERSIONS = [*b"HTTP/1.1 HTTP/1.1 HTTP/1.1 HTTP/1.0 HTTP/2.0 HTTP/0.9 HTTP/1.2 HTTP/9.9 HTTP/x".split(), b""]
PATHS = b"""
    / /api/votes /api/ballot /api/tally /api/tally.csv /openapi.json /docs /docs/assets/ /ws /healthz /readyz /metrics
    /shared/tallyho.css /shared/ /static/ /pipeline /api/pipeline
""".split()
TARGETS = b"""
    * // /// http:// http://[ http://a..b/ http://x:99999/ https://\xff/ ?vote=a /% /%00 /%ff%fe
    /%2e%2e/%2e%2e/etc/passwd /../../etc/passwd /shared/%00 /shared/..%2f..%2fweb.py
    /docs/assets/%2e%2e /;x=y /#x /?%zz=% /\\..\\ localhost:80
    mailto:x /api/votes/ /API/votes //evil.example/ http://localhost/ws
""".split()
TARGETS += [b"", b"/shared/" + b"a" * 3000, b"/?" + b"a=b&" * 500, b"/a" * 2000]

BODIES = [b"", b"vote=a", b'{"vote": "a"}', b"x" * 5000, b"[" * 3000, b"\xff" * 50, b'{"vote": ' + b"9" * 4000 + b"}"]
CHUNKS = [
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"fffffffffffffffff\r\n",
    b"-1\r\n",
    b"5\r\nhel",
    b"\r\n",
    b"g\r\n",
    b"1\nx\n",
]
CHUNKS += [b"1\r\nx\r\n" * 30, b" 1\r\nx\r\n", b"1;" + b"x" * 3000 + b"\r\nx\r\n", b"0\r\nX: " + b"y" * 20_000]

# What other protocols begin with, and what has no end.
BEGINNINGS = [
    b"",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\r\n" * 5,
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 3000,
    b"GET " + b"a" * 20_000,
]
