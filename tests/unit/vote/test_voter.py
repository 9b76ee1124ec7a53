"""The voter's cookies: a forged or altered one is a new voter, never someone else."""

import hashlib
from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer

from common.errors import Refused
from vote.voter import BALLOT_COOKIE, HIGHEST_NUMBER, VOTER_COOKIE, Voter, VoterCookies, new_voter

KEY = "a key for this test"
COOKIES = VoterCookies(KEY)


def jar_of(voter: Voter, cookies: VoterCookies = COOKIES, *, secure: bool = False) -> SimpleCookie:
    jar = SimpleCookie()
    for header in cookies.headers(voter, secure=secure):
        jar.load(header)
    return jar


def sent(*pairs: tuple[str, str]) -> str:
    """A `Cookie` header."""
    return "; ".join(f"{name}={value}" for name, value in pairs)


def all_of(voter: Voter, cookies: VoterCookies = COOKIES) -> str:
    return sent(*cookies.signed(voter).items())


def test_a_voter_is_known_again_with_its_choice_and_its_ballot() -> None:
    voter = Voter("0123", "b", series=7, number=3)

    assert COOKIES.read(all_of(voter), secure=False) == voter


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_an_altered_cookie_is_nobodys(position: int, character: str) -> None:
    value = COOKIES.signed(Voter("0123456789abcdef"))[VOTER_COOKIE]
    position %= len(value)
    altered = value[:position] + character + value[position + 1 :]

    read = COOKIES.read(sent((VOTER_COOKIE, altered)), secure=False)

    assert read is None or read.id == "0123456789abcdef"


@given(st.text(), st.booleans())
def test_an_invented_cookie_is_nobodys(value: str, secure: bool) -> None:
    for prefix in ("", "__Host-"):
        header = sent((prefix + VOTER_COOKIE, value), (prefix + BALLOT_COOKIE, value))
        assert COOKIES.read(header, secure=secure) is None


def test_a_cookie_signed_with_another_key_is_nobodys() -> None:
    assert COOKIES.read(all_of(Voter("0123"), VoterCookies("another key of somebody")), secure=False) is None


def test_a_cookie_from_before_ballots_were_numbered_is_still_its_voters() -> None:
    """Sessions go on over an update: nobody may vote a second time because of it."""
    old = Signer(KEY, salt="tallyho.voter", digest_method=hashlib.sha256).sign(b"0123").decode()

    assert COOKIES.read(sent((VOTER_COOKIE, old)), secure=False) == Voter("0123")


def test_the_ballot_of_another_voter_is_not_taken_for_ones_own() -> None:
    mine, theirs = COOKIES.signed(Voter("mine")), COOKIES.signed(Voter("theirs", "a", number=9))
    mixed = sent((VOTER_COOKIE, mine[VOTER_COOKIE]), (BALLOT_COOKIE, theirs[BALLOT_COOKIE]))

    assert COOKIES.read(mixed, secure=False) == Voter("mine")


def test_one_cookie_is_no_other() -> None:
    """A signed ballot can't be passed off as a voter's id."""
    ballot = COOKIES.signed(Voter("0123", "a"))[BALLOT_COOKIE]

    assert COOKIES.read(sent((VOTER_COOKIE, ballot)), secure=False) is None


def test_a_choice_made_in_another_poll_is_none() -> None:
    before, after = VoterCookies(KEY, lambda: "tea"), VoterCookies(KEY, lambda: "coffee")
    header = all_of(Voter("0123", "a", series=7, number=3), before)

    assert after.read(header, secure=False) == Voter("0123", None, series=7, number=3)


def test_two_voters_in_one_browser_are_refused_and_one_twice_is_not() -> None:
    """A neighbour on the same host can set a cookie of its own voter: whose vote it is must not be guessed."""
    mine, theirs = COOKIES.signed(Voter("mine"))[VOTER_COOKIE], COOKIES.signed(Voter("theirs"))[VOTER_COOKIE]

    with pytest.raises(Refused) as refused:
        COOKIES.read(sent((VOTER_COOKIE, theirs), (VOTER_COOKIE, mine)), secure=False)

    assert refused.value.code == "two_voters"
    for other in (mine, "forged.c2ln", ""):
        assert COOKIES.read(sent((VOTER_COOKIE, other), (VOTER_COOKIE, mine)), secure=False) == Voter("mine")


def test_of_two_ballots_the_one_with_the_higher_number_is_the_browsers_own() -> None:
    """An old cookie that somebody put back must not make later votes look older."""
    old, new = (COOKIES.signed(Voter("mine", choice, number=number)) for choice, number in (("a", 3), ("b", 8)))
    for first, second in ((old, new), (new, old)):
        header = sent(
            (VOTER_COOKIE, old[VOTER_COOKIE]),
            (BALLOT_COOKIE, first[BALLOT_COOKIE]),
            (BALLOT_COOKIE, second[BALLOT_COOKIE]),
        )
        assert COOKIES.read(header, secure=False) == Voter("mine", "b", number=8)


def test_cookies_are_kept_from_scripts_and_other_sites_and_under_https_from_the_wire_and_neighbours() -> None:
    for secure in (True, False):
        jar = jar_of(Voter("0123", "a"), secure=secure)
        assert [name.startswith("__Host-") for name in jar] == [secure] * 2
        for morsel in jar.values():
            assert morsel["httponly"] is True
            assert morsel["samesite"] == "Lax"
            assert morsel["path"] == "/"
            assert bool(morsel["secure"]) is secure


def test_over_https_a_cookie_that_a_neighbour_could_have_set_is_not_looked_at() -> None:
    plain = all_of(Voter("theirs"))
    own = sent(*((f"__Host-{name}", value) for name, value in COOKIES.signed(Voter("mine")).items()))

    assert COOKIES.read(plain, secure=True) is None
    assert COOKIES.read(f"{plain}; {own}", secure=True) == Voter("mine", number=0)


def test_new_voters_differ() -> None:
    assert len({new_voter().id for _ in range(1000)}) == 1000


@given(st.integers(0, HIGHEST_NUMBER), st.integers(1, HIGHEST_NUMBER))
def test_numbers_never_go_back_and_never_beyond_what_can_be_stored(last: int, used: int) -> None:
    voter = Voter("0123", number=last)

    assert voter.with_ballot(used).number == max(last, used)
    assert last <= (voter.next_number or 0) <= HIGHEST_NUMBER
