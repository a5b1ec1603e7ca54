"""What the proxy does to connections, against a real echo server and a real Valkey."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest
import redis

from harness.proxy import Proxy
from harness.waiting import wait_for


class Echo(BaseRequestHandler):
    """Echoes everything until "bye". The server keeps what was received."""

    def handle(self):
        chunk = b"-"
        while chunk and not chunk.endswith(b"bye"):
            chunk = self.request.recv(65536)
            self.server.heard += chunk
            self.request.sendall(chunk)
        self.server.ended += 1


@pytest.fixture
def echo():
    server = ThreadingTCPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads, server.heard, server.ended = True, b"", 0
    server.handle_error = lambda *_: None  # resets are expected
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxy(echo):
    with closing(Proxy(echo.server_address)) as proxy:
        yield proxy


@pytest.fixture
def client(proxy):
    """A connection through the proxy that is already in use."""
    with connect(proxy) as client:
        assert ask(client, b"hello") == b"hello"
        yield client


def connect(proxy):
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def ask(client, data):
    client.sendall(data)
    return client.recv(65536)


def hears_nothing(client, seconds=0.1):
    client.settimeout(seconds)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(5)
    return True


def test_data_is_carried_both_ways_until_the_end(proxy, echo):
    with connect(proxy) as client:
        Thread(
            target=lambda: (client.sendall(b"x" * 20_000_000), client.shutdown(socket.SHUT_WR))
        ).start()
        heard = 0
        while chunk := client.recv(1 << 20):
            heard += len(chunk)
    assert heard == 20_000_000
    wait_for(
        lambda: (proxy.present, echo.ended, proxy.accepted) == (0, 1, 1),
        "the connection to end on both sides",
    )


def test_delayed_data_arrives_late_and_in_order(client, proxy):
    proxy.delay_seconds = 0.1
    began_at = time.monotonic()
    assert ask(client, b"one") == b"one"
    assert 0.2 <= time.monotonic() - began_at < 1  # there and back
    client.sendall(b"two")
    proxy.delay_seconds = 0.0
    assert ask(client, b"three") in (b"two", b"twothree")


def test_drop_resets_open_connections_and_accepts_new_ones(client, proxy, echo):
    assert (proxy.drop(), proxy.dropped, proxy.present) == (1, 1, 0)
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with connect(proxy) as another:
        assert ask(another, b"hello") == b"hello"


def test_refuse_rejects_connections_until_accept(client, proxy):
    proxy.refuse()
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    assert ask(client, b"present") == b"present"
    proxy.accept()
    proxy.accept()
    with connect(proxy) as another:
        assert ask(another, b"hello") == b"hello"


def test_half_close_silences_the_target_without_closing(client, proxy, echo):
    assert (proxy.half_close(), proxy.half_closed) == (1, 1)
    client.sendall(b" again")
    assert hears_nothing(client)
    assert echo.heard == b"hello again"
    with connect(proxy) as another:
        assert ask(another, b"!") == b"!"


def test_a_half_closed_connection_survives_the_loss_of_its_target(client, proxy, echo):
    proxy.half_close()
    client.sendall(b"bye")
    wait_for(lambda: echo.ended == 1, "the target to close")
    for _ in range(3):
        client.sendall(b"anybody?")
        assert hears_nothing(client, 0.02)
    client.close()
    wait_for(lambda: proxy.present == 0, "the client's end to be noticed")


def test_half_close_can_end_one_direction_properly(client, proxy, echo):
    proxy.half_close(silently=False)
    assert client.recv(1) == b""
    client.sendall(b" again")
    wait_for(lambda: echo.heard == b"hello again", "the other direction to be carried")
    assert proxy.present == 1


def test_a_stall_delays_everything_and_ends(client, proxy, echo):
    proxy.stall(0.3)
    client.sendall(b"one")
    with connect(proxy) as another:
        another.sendall(b"two")
        assert hears_nothing(client)
        assert echo.heard == b"hello"
        assert (client.recv(9), another.recv(9)) == (b"one", b"two")


def test_commands_work_during_a_stall(client, proxy):
    proxy.stall(60)
    client.sendall(b"one")
    proxy.stall(0)
    assert client.recv(9) == b"one"
    proxy.stall(60)
    assert proxy.drop() == 1


def test_lose_reply_delivers_the_request(client, proxy, echo):
    proxy.lose_reply(b"secret", count=2)
    assert ask(client, b"other") == b"other"
    for _ in range(2):
        with connect(proxy) as another, pytest.raises(ConnectionResetError):
            ask(another, b"a secret.")
    assert ask(client, b"a secret.") == b"a secret."
    assert (proxy.replies_lost, echo.heard) == (2, b"helloother" + b"a secret." * 3)


def test_before_runs_before_the_target_receives_the_data(client, proxy, echo):
    seen = []
    proxy.before(b"now", lambda: seen.append(echo.heard))
    assert ask(client, b" now") == ask(client, b" now") == b" now"
    assert seen == [b"hello"]


def test_after_runs_before_the_client_receives_the_reply(client, proxy, echo):
    seen = []
    proxy.after(b"now", lambda: seen.append((echo.heard, hears_nothing(client, 0.01))))
    assert ask(client, b" now") == ask(client, b" now") == b" now"
    assert seen == [(b"hello now", True)]


def test_heal_ends_all_faults(client, proxy):
    proxy.half_close()
    proxy.lose_reply(b"hello")
    proxy.refuse()
    proxy.delay_seconds = 60
    proxy.stall(60)
    proxy.heal()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with connect(proxy) as another:
        assert ask(another, b"hello") == b"hello"


def test_a_client_is_reset_if_the_target_does_not_listen(proxy, echo):
    echo.shutdown()
    echo.server_close()
    with pytest.raises(ConnectionError), connect(proxy) as client:
        ask(client, b"hello")
    wait_for(lambda: proxy.present == 0, "the connection to end")


def test_a_closed_proxy_resets_and_refuses(client, proxy):
    proxy.close()
    proxy.close()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)


def test_a_proxy_can_use_a_given_port(proxy, echo):
    proxy.close()
    with closing(Proxy(echo.server_address, proxy.port)) as second, connect(proxy) as client:
        assert (second.port, ask(client, b"hello")) == (proxy.port, b"hello")


def test_a_script_whose_reply_is_lost_runs_once(valkey, redis_client):
    with closing(Proxy(str(valkey.socket))) as proxy:
        client = redis.Redis(port=proxy.port, retry=None)
        sha = client.script_load("return redis.call('INCR', KEYS[1])")
        proxy.lose_reply(sha.encode())
        with pytest.raises(redis.ConnectionError):
            client.evalsha(sha, 1, "runs")
        assert (client.get("runs"), proxy.replies_lost) == (b"1", 1)


def test_concurrent_clients_get_their_own_replies(valkey, redis_client):
    def counts_up(number):
        with redis.Redis(port=proxy.port) as client:
            return [client.incr(f"own-{number}") for _ in range(200)] == list(range(1, 201))

    with closing(Proxy(str(valkey.socket))) as proxy, ThreadPoolExecutor(8) as threads:
        assert all(threads.map(counts_up, range(8)))
    assert proxy.accepted == 8
