"""The servers that other tests start are what they say."""

import ssl
from dataclasses import replace

import pytest
import redis as client

from run.children import ChildEndedError
from tests import servers

pytestmark = pytest.mark.live


@pytest.mark.parametrize(
    ("start", "version"),
    [(servers.redis, "6.2."), (servers.valkey, "9."), (servers.system_redis, "7.")],
)
def test_a_server_runs_the_named_version_with_the_given_options(start, version):
    with start("maxmemory-policy", "allkeys-lru") as server:
        connection = client.Redis.from_url(server.url)
        facts = connection.info("server")
        found = facts.get("valkey_version") or facts["redis_version"]

        assert found.startswith(version)
        assert connection.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
        connection.close()


def test_a_server_listens_on_a_unix_socket_alone():
    with servers.redis(unix=True) as server:
        connection = client.Redis.from_url(server.url)

        assert connection.config_get("port") == {"port": "0"}
        connection.close()


def test_a_tls_server_is_trusted_through_its_own_authority_only():
    with servers.tls_redis() as server:
        trusting = client.Redis.from_url(server.url, ssl_ca_certs=str(server.certificates.ca))
        assert trusting.ping() is True
        trusting.close()

        with pytest.raises(client.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            client.Redis.from_url(server.url, ssl_cert_reqs=ssl.CERT_REQUIRED, retry=None).ping()


def test_a_stopped_server_comes_back_on_its_port():
    with servers.valkey() as server:
        url = server.url
        server.stop()
        server.start()

        assert server.url == url
        with client.Redis.from_url(url) as connection:
            assert connection.ping() is True


def test_a_server_is_not_taken_for_another_that_has_its_port():
    with servers.redis() as first:
        second = replace(first, running=None)

        with pytest.raises(ChildEndedError, match="somebody else listens on port"):
            second.start()
