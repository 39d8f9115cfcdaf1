"""What people type as an address, and what they are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.address import (
    AddressError,
    EmailEngineAddress,
    RedisAddress,
    parse_emailengine_url,
    parse_redis_url,
    parse_sentinels,
)

COLONS = "hold several colons: an IPv6 address stands in brackets, as in [::1]:6379."


@pytest.mark.parametrize(
    ("text", "address", "canonical"),
    [
        ("redis://db1", RedisAddress("db1"), "redis://db1:6379/0"),
        (" redis://DB1.Example.com:6380/8 ", RedisAddress("db1.example.com", 6380, database=8),
         "redis://db1.example.com:6380/8"),
        ("redis://db1?db=8", RedisAddress("db1", database=8), "redis://db1:6379/8"),
        ("redis://db1/8?db=8", RedisAddress("db1", database=8), "redis://db1:6379/8"),
        ("redis://db1/", RedisAddress("db1"), "redis://db1:6379/0"),
        ("rediss://db1", RedisAddress("db1", is_tls=True), "rediss://db1:6379/0"),
        ("REDISS://db1", RedisAddress("db1", is_tls=True), "rediss://db1:6379/0"),
        ("redis://[::1]:7000", RedisAddress("::1", 7000), "redis://[::1]:7000/0"),
        ("redis://[2001:DB8:0:0::1]", RedisAddress("2001:db8::1"), "redis://[2001:db8::1]:6379/0"),
        ("redis://10.0.0.5", RedisAddress("10.0.0.5"), "redis://10.0.0.5:6379/0"),
        ("redis://bücher.example", RedisAddress("xn--bcher-kva.example"),
         "redis://xn--bcher-kva.example:6379/0"),
        ("redis://db1.example.com./1", RedisAddress("db1.example.com", database=1),
         "redis://db1.example.com:6379/1"),
        ("redis://my_redis", RedisAddress("my_redis"), "redis://my_redis:6379/0"),
        ("redis://:pw@db1", RedisAddress("db1", password="pw"), "redis://db1:6379/0"),
        ("redis://app:pw@db1", RedisAddress("db1", user="app", password="pw"),
         "redis://app@db1:6379/0"),
        ("redis://app@db1", RedisAddress("db1", user="app"), "redis://app@db1:6379/0"),
        ("redis://a%40b:p%2Fw%3A%25@db1", RedisAddress("db1", user="a@b", password="p/w:%"),
         "redis://a%40b@db1:6379/0"),
        ("redis://:p@ss/w?#:rd@db1:1/2", RedisAddress("db1", 1, database=2, password="p@ss/w?#:rd"),
         "redis://db1:1/2"),
        ("unix:///run/redis.sock", RedisAddress(port=0, path="/run/redis.sock"),
         "unix:///run/redis.sock?db=0"),
        ("unix://app:pw@/run/my%20redis.sock?db=3",
         RedisAddress(port=0, path="/run/my redis.sock", database=3, user="app", password="pw"),
         "unix://app@/run/my%20redis.sock?db=3"),
    ],
)  # fmt: skip
def test_redis_urls(text, address, canonical):
    found = parse_redis_url(text)

    assert (found, found.without_password()) == (address, canonical)
    assert parse_redis_url(canonical).without_password() == canonical


def test_a_password_is_not_in_the_repr():
    assert "hunter2" not in repr(parse_redis_url("redis://:hunter2@db1"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "The Redis URL is empty: it begins with redis://, rediss:// or unix://."),
        ("db1:6379",
         "The Redis URL has no scheme: it begins with redis://, rediss:// or unix://."),
        ("http://db1", "The Redis URL begins with http://: it may be redis://, rediss:// or unix://."),
        ("redis-sentinel://db1",
         "The Redis URL begins with redis-sentinel://: it may be redis://, rediss:// or unix://."),
        ("redis://", "The Redis address names no host."),
        ("redis://:6379", "The Redis address names no host."),
        ("redis://db 1", "The Redis URL holds a space or control character."),
        ("redis://db1\n", None),
        ("redis://db1\t2", "The Redis URL holds a space or control character."),
        ("redis://db1:0", "The Redis port '0' is no number from 1 to 65535."),
        ("redis://db1:65536", "The Redis port '65536' is no number from 1 to 65535."),
        ("redis://db1:65535", None),
        ("redis://db1:", "The Redis port is no number from 1 to 65535."),
        ("redis://app:hunter2", "The Redis port is no number from 1 to 65535."),
        ("redis://::1", f"The Redis host and port '::1' {COLONS}"),
        ("redis://:hunter2:db1", f"The Redis host and port {COLONS}"),
        ("redis://[::g]", "The Redis host ['::g'] is no IPv6 address."),
        ("redis://[fe80::1%eth0]", "The Redis host ['fe80::1%eth0'] is no IPv6 address."),
        ("redis://-x", "The Redis host '-x' is no host name or IP address."),
        ("redis://a..b", "The Redis host 'a..b' is no host name or IP address."),
        ("redis://" + "a" * 64, "The Redis host '" + "a" * 64 + "' is no host name or IP address."),
        ("redis://db1/eight", "The Redis database 'eight' is no number: write /0 or /8."),
        ("redis://db1/-1", "The Redis database '-1' is no number: write /0 or /8."),
        ("redis://db1/2147483648", "The Redis database '2147483648' is no number: write /0 or /8."),
        ("redis://db1/2147483647", None),
        ("redis://db1/1/2", "The Redis database '1/2' is no number: write /0 or /8."),
        ("redis://db1/8?db=9", "The Redis URL names two databases: give one, /8 or ?db=8."),
        ("redis://db1?password=hunter2", "The Redis URL has the option 'password': only db is allowed."),
        ("redis://db1#x", "The Redis URL holds a #: write %23 where a password has one."),
        ("redis://:%ff@db1", "The password in the URL is not UTF-8 after percent-decoding."),
        ("unix://", "A unix:// URL names a socket: write unix:///path/to/redis.sock."),
        ("unix://run/redis.sock", "A unix:// URL has no host: write unix:///path/to/redis.sock."),
        ("redis://" + "a" * 2000, "The Redis URL has over 2000 characters."),
    ],
)  # fmt: skip
def test_redis_urls_that_are_refused(text, why):
    assert refusal(parse_redis_url, text) == why


@given(st.text(max_size=200), st.text(min_size=8, max_size=20, alphabet="HUNTER2"))
def test_any_text_is_read_or_refused_and_never_shows_a_password(tail, secret):
    for text in (
        tail,
        f"redis://{tail}",
        f"redis://app:{secret}@{tail}",
        f"unix://:{secret}@{tail}",
    ):
        assert secret not in (refusal(parse_redis_url, text) or "") or secret in tail


@pytest.mark.parametrize(
    ("text", "address", "url", "origin"),
    [
        ("http://ee:3000/", EmailEngineAddress("http", "ee", 3000), "http://ee:3000",
         "http://ee:3000"),
        ("https://ee.example.com", EmailEngineAddress("https", "ee.example.com", 443),
         "https://ee.example.com", "https://ee.example.com"),
        ("https://[::1]:8443/mail/ee/", EmailEngineAddress("https", "::1", 8443, "/mail/ee"),
         "https://[::1]:8443/mail/ee", "https://[::1]:8443"),
        ("http://ee:80", EmailEngineAddress("http", "ee", 80), "http://ee", "http://ee"),
    ],
)  # fmt: skip
def test_emailengine_urls(text, address, url, origin):
    found = parse_emailengine_url(text)

    assert (found, found.url, found.origin) == (address, url, origin)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "The EmailEngine URL is empty: it begins with http:// or https://."),
        ("ee:3000", "The EmailEngine URL has no scheme: it begins with http:// or https://."),
        ("redis://ee", "The EmailEngine URL begins with redis://: it may be http:// or https://."),
        ("http://u:hunter2@ee",
         "The EmailEngine URL holds a user or password: give a token instead."),
        ("http://ee?access_token=hunter2",
         "The EmailEngine URL ends in a query (?…): give scheme, host and port."),
        ("http://ee/../x", "The EmailEngine URL's path '/../x' holds odd characters."),
        ("http://ee/a;b", "The EmailEngine URL's path '/a;b' holds odd characters."),
        ("http://ee:99999", "The EmailEngine port '99999' is no number from 1 to 65535."),
        ("http:///x", "The EmailEngine address names no host."),
    ],
)  # fmt: skip
def test_emailengine_urls_that_are_refused(text, why):
    assert refusal(parse_emailengine_url, text) == why


def test_sentinels():
    typed = "s1:26380, s2\ns3;[::1]:5 s2"

    assert parse_sentinels(typed) == (("s1", 26380), ("s2", 26379), ("s3", 26379), ("::1", 5))
    assert parse_sentinels("  ") == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("redis://s1", "A Sentinel address is host or host:port, without scheme or password."),
        ("x@s1", "A Sentinel address is host or host:port, without scheme or password."),
        ("s1:x", "The Sentinel port is no number from 1 to 65535."),
        (",".join(f"s{n}" for n in range(21)),
         "21 Sentinel addresses: at most 20 are allowed."),
    ],
)  # fmt: skip
def test_sentinels_that_are_refused(text, why):
    assert refusal(parse_sentinels, text) == why


def refusal(parse, text):
    """Return the error's sentence; None where the text is accepted."""
    try:
        parse(text)
    except AddressError as error:
        return str(error)
    return None
