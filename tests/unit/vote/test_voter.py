"""The voter's cookies: a forged or altered one is a new voter, never someone else."""

from http.cookies import SimpleCookie

from hypothesis import given
from hypothesis import strategies as st
from werkzeug.wrappers import Response

from vote.voter import CHOICE_COOKIE, VOTER_COOKIE, Voter, VoterCookies, new_voter

COOKIES = VoterCookies("a key for this test")


def cookies_of(voter: Voter, signer: VoterCookies = COOKIES, *, secure: bool = False) -> SimpleCookie:
    response = Response()
    signer.set(response, voter, secure=secure)
    jar = SimpleCookie()
    for header in response.headers.getlist("Set-Cookie"):
        jar.load(header)
    return jar


def values(jar: SimpleCookie) -> dict[str, str]:
    return {name: morsel.value for name, morsel in jar.items()}


def test_a_voter_is_known_again_with_its_choice() -> None:
    voter = Voter("0123", "b")

    assert COOKIES.read(values(cookies_of(voter))) == voter


def test_a_voter_without_a_choice_gets_one_cookie() -> None:
    assert set(cookies_of(Voter("0123"))) == {VOTER_COOKIE}


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_an_altered_cookie_is_nobodys(position: int, character: str) -> None:
    value = values(cookies_of(Voter("0123456789abcdef")))[VOTER_COOKIE]
    position %= len(value)
    altered = value[:position] + character + value[position + 1 :]

    read = COOKIES.read({VOTER_COOKIE: altered})

    # base64 has a few spellings of its last character that mean the same: the same voter then, never another one
    assert read is None or read.id == "0123456789abcdef"


@given(st.text())
def test_an_invented_cookie_is_nobodys(value: str) -> None:
    assert COOKIES.read({VOTER_COOKIE: value, CHOICE_COOKIE: value}) is None


def test_a_cookie_signed_with_another_key_is_nobodys() -> None:
    assert COOKIES.read(values(cookies_of(Voter("0123"), VoterCookies("another key of somebody")))) is None


def test_the_choice_of_another_voter_is_not_shown() -> None:
    mixed = values(cookies_of(Voter("mine"))) | {CHOICE_COOKIE: values(cookies_of(Voter("theirs", "a")))[CHOICE_COOKIE]}

    assert COOKIES.read(mixed) == Voter("mine")


def test_one_cookie_is_no_other() -> None:
    """A signed choice can't be passed off as a voter's id."""
    signed_choice = values(cookies_of(Voter("0123", "a")))[CHOICE_COOKIE]

    assert COOKIES.read({VOTER_COOKIE: signed_choice}) is None


def test_cookies_are_kept_from_scripts_and_other_sites_and_under_https_from_the_wire() -> None:
    for secure in (True, False):
        for morsel in cookies_of(Voter("0123", "a"), secure=secure).values():
            assert morsel["httponly"] is True
            assert morsel["samesite"] == "Lax"
            assert bool(morsel["secure"]) is secure


def test_new_voters_differ() -> None:
    assert len({new_voter().id for _ in range(1000)}) == 1000
