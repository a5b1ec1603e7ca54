from collections.abc import Callable

import pytest

from harness.vendor.scripted import Answer, VendorServer, in_turn


@pytest.fixture
def vendor(request: pytest.FixtureRequest) -> Callable[..., VendorServer]:
    def start(*answers: Answer) -> VendorServer:
        server = VendorServer(in_turn(*answers))
        request.addfinalizer(server.stop)
        return server

    return start
