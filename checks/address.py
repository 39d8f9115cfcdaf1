"""What do people mean by the addresses they type? Pure parsing, with errors that hold no secret."""

import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from urllib.parse import parse_qsl, quote, unquote

REDIS_PORT, SENTINEL_PORT = 6379, 26379
HTTP_PORTS = {"http": 80, "https": 443}
MAX_CHARACTERS = 2_000
MAX_DATABASE = 2**31 - 1
MAX_SENTINELS = 20
SHOWN_CHARACTERS = 80
# A name as DNS has it, and the underscore that private networks use; IPv4 is one too.
NAME = re.compile(
    r"(?=.{1,253}\.?$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
    r"(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?"
)


class AddressError(ValueError):
    """One sentence: what was typed, as far as it is no secret, and what is allowed."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where a Redis is: host and port, or the path of a unix socket; and who we are there."""

    host: str = ""
    port: int = REDIS_PORT
    path: str = ""
    database: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    is_tls: bool = False

    def without_password(self) -> str:
        """Write it in its one canonical form, fit to store and to show."""
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        if self.path:
            return f"unix://{user}{quote(self.path)}?db={self.database}"
        scheme = "rediss" if self.is_tls else "redis"
        return f"{scheme}://{user}{_at(self.host, self.port)}/{self.database}"


@dataclass(frozen=True, slots=True)
class EmailEngineAddress:
    """Where an EmailEngine is; path is what a proxy puts before its own paths, mostly nothing."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def origin(self) -> str:
        """Scheme, host and port, without the scheme's own port."""
        usual = HTTP_PORTS[self.scheme] == self.port
        return f"{self.scheme}://{_bracketed(self.host) if usual else _at(self.host, self.port)}"

    @property
    def url(self) -> str:
        """The canonical form, without a slash at its end."""
        return self.origin + self.path


@dataclass(frozen=True, slots=True)
class _Parts:
    """A URL taken apart, percent signs still in it."""

    scheme: str
    userinfo: str
    authority: str
    path: str
    query: str


def parse_redis_url(text: str) -> RedisAddress:
    """Read redis://, rediss:// or unix://, as ioredis and redis-py do; raise AddressError.

    redis://user:password@host:6379/8, redis://host?db=8, unix://:password@/run/redis.sock?db=8.
    The password may hold any character, @ and / too.
    """
    parts = _take_apart(text, "Redis", ("redis", "rediss", "unix"))
    user, _, password = parts.userinfo.partition(":")
    user, password = _decoded(user, "user"), _decoded(password, "password")
    if parts.scheme == "unix":
        database = _database("", parts.query)
        return RedisAddress("", 0, _socket_path(parts), database, user, password)
    host, port = _host_and_port(parts.authority, REDIS_PORT, "Redis")
    database = _database(parts.path.strip("/"), parts.query)
    return RedisAddress(host, port, "", database, user, password, parts.scheme == "rediss")


def parse_emailengine_url(text: str) -> EmailEngineAddress:
    """Read http://host:3000 or https://host/path; raise AddressError."""
    parts = _take_apart(text, "EmailEngine", ("http", "https"))
    if parts.userinfo:
        raise AddressError("The EmailEngine URL holds a user or password: give a token instead.")
    if parts.query:
        raise AddressError("The EmailEngine URL ends in a query (?…): give scheme, host and port.")
    host, port = _host_and_port(parts.authority, HTTP_PORTS[parts.scheme], "EmailEngine")
    path = parts.path.rstrip("/")
    if not re.fullmatch(r"[A-Za-z0-9/._~%-]*", path) or ".." in path:
        raise AddressError(f"The EmailEngine URL's path {_shown(path)} holds odd characters.")
    return EmailEngineAddress(parts.scheme, host, port, path)


def parse_sentinels(text: str) -> tuple[tuple[str, int], ...]:
    """Read "host:26379, host" into (host, port) pairs, each once; raise AddressError."""
    typed = [part for part in re.split(r"[\s,;]+", text.strip()) if part]
    if any("://" in part or "@" in part for part in typed):
        raise AddressError("A Sentinel address is host or host:port, without scheme or password.")
    if len(typed) > MAX_SENTINELS:
        raise AddressError(f"{len(typed)} Sentinel addresses: at most {MAX_SENTINELS} are allowed.")
    return tuple(dict.fromkeys(_host_and_port(part, SENTINEL_PORT, "Sentinel") for part in typed))


def _take_apart(text: str, what: str, schemes: tuple[str, ...]) -> _Parts:
    """Split without looking for meaning; the last @ ends the userinfo, whatever it holds."""
    text = text.strip()
    allowed = _either([f"{scheme}://" for scheme in schemes])
    if not text:
        raise AddressError(f"The {what} URL is empty: it begins with {allowed}.")
    if len(text) > MAX_CHARACTERS:
        raise AddressError(f"The {what} URL has over {MAX_CHARACTERS} characters.")
    if not text.isprintable() or " " in text:
        raise AddressError(f"The {what} URL holds a space or control character.")
    scheme, mark, rest = text.partition("://")
    scheme = scheme.lower()
    if not mark:
        raise AddressError(f"The {what} URL has no scheme: it begins with {allowed}.")
    if scheme not in schemes:
        raise AddressError(f"The {what} URL begins with {_scheme(scheme)}: it may be {allowed}.")
    userinfo, _, rest = rest.rpartition("@")
    if "#" in rest:
        raise AddressError(f"The {what} URL holds a #: write %23 where a password has one.")
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    return _Parts(scheme, userinfo, authority, slash + path, query)


def _scheme(scheme: str) -> str:
    """Show a scheme; what is none may be anything, a password too."""
    return f"{scheme}://" if re.fullmatch(r"[a-z][a-z0-9+.-]{0,20}", scheme) else "something else"


def _socket_path(parts: _Parts) -> str:
    path = _decoded(parts.path, "path")
    if parts.authority:
        raise AddressError("A unix:// URL has no host: write unix:///path/to/redis.sock.")
    if not path.strip("/") or "\0" in path:
        raise AddressError("A unix:// URL names a socket: write unix:///path/to/redis.sock.")
    return path


def parse_endpoint(text: str, default_port: int) -> tuple[str, int]:
    """Read `host` or `host:port`; raises AddressError."""
    return _host_and_port(text.strip(), default_port, "an endpoint")


def _host_and_port(authority: str, default: int, what: str) -> tuple[str, int]:
    bracketed = re.fullmatch(r"\[([^\[\]]*)\](?::(.*))?", authority)
    if bracketed:
        host, port = _ipv6(bracketed[1], what), bracketed[2]
    elif authority.count(":") > 1:
        raise AddressError(
            f"The {what} host and port{_unless_secret(authority)} hold several "
            "colons: an IPv6 address stands in brackets, as in [::1]:6379."
        )
    else:
        name, colon, port_text = authority.partition(":")
        host, port = _name(name, what), port_text if colon else None
    return host, default if port is None else _port(port, what)


def _ipv6(text: str, what: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError:
        address = None
    if address is None or address.scope_id:
        raise AddressError(f"The {what} host [{_shown(text)}] is no IPv6 address.")
    return str(address)


def _name(text: str, what: str) -> str:
    name = unquote(text).lower()
    if not name:
        raise AddressError(f"The {what} address names no host.")
    try:
        name = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        raise AddressError(f"The {what} host {_shown(text)} is no host name.") from None
    if not NAME.fullmatch(name):
        raise AddressError(f"The {what} host {_shown(text)} is no host name or IP address.")
    return name.rstrip(".")


def _port(text: str, what: str) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= 65_535:
        return int(text)
    shown = f" {_shown(text)}" if text.isdecimal() else ""  # may be a password that lost its @
    raise AddressError(f"The {what} port{shown} is no number from 1 to 65535.")


def _database(path: str, query: str) -> int:
    """Read the database from /8 or ?db=8; both may be given if they agree."""
    options = parse_qsl(query, keep_blank_values=True, max_num_fields=20)
    others = [_shown(name) for name, _ in options if name != "db"]
    if others:
        raise AddressError(f"The Redis URL has the option {others[0]}: only db is allowed.")
    typed = {value for name, value in (("", path), *options) if value or name}
    if len(typed) > 1:
        raise AddressError("The Redis URL names two databases: give one, /8 or ?db=8.")
    value = unquote(typed.pop()) if typed else "0"
    if not re.fullmatch(r"[0-9]{1,10}", value) or int(value) > MAX_DATABASE:
        raise AddressError(f"The Redis database {_shown(value)} is no number: write /0 or /8.")
    return int(value)


def _decoded(text: str, what: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise AddressError(f"The {what} in the URL is not UTF-8 after percent-decoding.") from None


def _at(host: str, port: int) -> str:
    return f"{_bracketed(host)}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _unless_secret(authority: str) -> str:
    """Show what can only be an address: user:password without its @ looks alike."""
    return f" {_shown(authority)}" if re.fullmatch(r"[0-9a-fA-F:.]*", authority) else ""


def _shown(text: str) -> str:
    cut = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
    return repr(cut)


def _either(words: list[str]) -> str:
    return ", ".join(words[:-1]) + " or " + words[-1]
