"""Tests that start processes are found, so that script/test --fast can leave them out."""

import subprocess

import pytest

from harness.running import Server
from harness.valkey import Valkey


def run():
    subprocess.run(["true"], check=True)


@pytest.fixture
def server(tmp_path):
    return lambda: Server(tmp_path, PORT=0)


@pytest.fixture
def client_of_server(server):
    return server


def has_marker(request):
    return request.node.get_closest_marker("processes") is not None


def test_a_test_that_calls_a_helper_is_marked(request):
    run()
    assert has_marker(request)


def test_a_test_with_a_fixture_is_marked(request, client_of_server):
    assert has_marker(request)


def test_a_test_with_a_nested_function_is_marked(request):
    def nested():
        return [run for _ in range(1)]

    assert nested()
    assert has_marker(request)


def test_a_test_with_only_valkey_is_not_marked(request, valkey):
    assert isinstance(valkey, Valkey)
    assert not has_marker(request)


def test_a_plain_test_is_not_marked(request):
    assert not has_marker(request)
