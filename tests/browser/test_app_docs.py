"""The page that describes the REST service, in a real browser."""

import threading
from contextlib import closing

import pytest
import uvicorn

from tests.app import fake
from vidfer.app.server import bound_socket, create_app
from vidfer.app.settings import AppOptions

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def docs():
    """The page of a server whose work takes no time."""
    with closing(bound_socket("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(
            uvicorn.Config(create_app(AppOptions(), work=fake.work), log_level="error", lifespan="on")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/docs"
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("dark", [False, True])
def test_the_description_is_accessible_and_alone(docs, open_page, serious_faults, overflow, dark):
    with open_page(docs, width=390, dark=dark) as watched:
        page = watched.page
        for each in page.locator("details").all():
            each.locator("summary").click()
        assert serious_faults(page) == []
        assert overflow(page) <= 0
        page.locator("a[href='#JobStatus']").first.click()
        assert page.locator("#JobStatus").evaluate("each => Math.abs(each.getBoundingClientRect().top) < 100")
        assert watched.errors == []
        assert {request.partition("#")[0] for request in watched.requests} == {docs}
        page.locator("[data-theme-switch]").click()
        assert page.locator("html").get_attribute("data-theme") in {"light", "dark"}
