"""Answers to challenges, against the examples of the RFCs."""

import base64
import re
import secrets

import pytest

from camera_hub.streams.rtsp.auth import Authorizer, Challenge, UnknownDigestError, read_challenges

_COMMON = (
    'realm="http-auth@example.org", qop="auth, auth-int", '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(
    monkeypatch: pytest.MonkeyPatch, algorithm: str, response: str
) -> None:
    nonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    monkeypatch.setattr(secrets, "token_hex", lambda _size: nonce)
    authorizer = Authorizer("Mufasa", "Circle of Life")
    challenges = read_challenges([f"Digest {_COMMON}, algorithm={algorithm}"])
    assert authorizer.accept(challenges, again=False)
    header = authorizer.header("GET", "/dir/index.html")
    assert f'response="{response}"' in header
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in header
    assert "qop=auth, nc=00000001" in header
    assert "nc=00000002" in authorizer.header("GET", "/dir/index.html")


def test_the_example_of_rfc_2069_without_quality_of_protection() -> None:
    authorizer = Authorizer("Mufasa", "CircleOfLife")
    challenge = (
        'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    assert authorizer.accept(read_challenges([challenge]), again=False)
    header = authorizer.header("GET", "/dir/index.html")
    # RFC 2069 section 2.4 with the erratum 749.
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in header
    assert "algorithm" not in header
    assert "cnonce" not in header


def test_the_strongest_digest_is_taken_and_basic_never_beside_one() -> None:
    offers = [
        'Basic realm="camera"',
        'Digest realm="camera", nonce="1", algorithm=MD5, Digest realm="camera", nonce="2", '
        'algorithm=SHA-256, qop="auth"',
    ]
    authorizer = Authorizer("u", "p")
    assert authorizer.accept(read_challenges(offers), again=False)
    assert "algorithm=SHA-256" in authorizer.header("DESCRIBE", "rtsp://camera/")
    odd = ['Basic realm="camera"', 'Digest realm="camera", nonce="2", algorithm=SHA3-512']
    with pytest.raises(UnknownDigestError, match="sha3-512"):
        Authorizer("u", "p").accept(read_challenges(odd), again=False)


def test_basic_where_there_is_nothing_else() -> None:
    authorizer = Authorizer("user", "pass:wörd")
    assert not authorizer.header("DESCRIBE", "rtsp://camera/")
    assert authorizer.accept(read_challenges(['Basic realm="camera"']), again=False)
    scheme, _, value = authorizer.header("DESCRIBE", "rtsp://camera/").partition(" ")
    assert (scheme, base64.b64decode(value).decode()) == ("Basic", "user:pass:wörd")


def test_a_refused_password_is_not_tried_again_but_a_stale_nonce_is() -> None:
    def offer(nonce: str, stale: str) -> list[Challenge]:
        return read_challenges([f'Digest realm="camera", nonce="{nonce}", stale={stale}'])

    authorizer = Authorizer("u", "p")
    assert authorizer.accept(offer("1", "false"), again=False)
    assert not authorizer.accept(offer("2", "false"), again=True)
    assert authorizer.accept(offer("3", "true"), again=True)
    assert 'nonce="3"' in authorizer.header("PLAY", "rtsp://camera/")
    assert not authorizer.accept(offer("3", "true"), again=True)
    assert not Authorizer("", "").accept(offer("1", "false"), again=False)


def test_a_user_name_cannot_leave_its_quotes() -> None:
    authorizer = Authorizer('u", uri="x', "p")
    assert authorizer.accept(read_challenges(['Digest realm="c", nonce="1"']), again=False)
    header = authorizer.header("PLAY", "rtsp://camera/")
    assert re.findall(r'(?<![\\\w])uri="([^"]*)"', header.replace('\\"', "'")) == ["rtsp://camera/"]


@pytest.mark.parametrize("rest", ["a" * 200_000, "a-" * 100_000, "a " * 100_000, 'a="' * 70_000])
def test_a_challenge_without_end_is_read_at_once(rest: str) -> None:
    # Each letter tried as a beginning would take ten minutes here, on the thread of all cameras.
    (found,) = read_challenges([f'Digest realm="c", {rest}'])
    assert found.realm == "c"
