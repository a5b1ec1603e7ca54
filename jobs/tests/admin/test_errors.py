"""An error shows a page with a link back to the console, and logs one line without a traceback."""

import pytest


@pytest.mark.django_db
def test_a_bad_request_links_back_to_the_console(admin_client, capfd, settings):
    settings.ALLOWED_HOSTS = ["testserver"]
    answer = admin_client.get("/admin/", headers={"Host": "evil.example"})
    page = answer.content.decode()
    assert answer.status_code == 400
    assert "<h1>Bad request</h1>" in page
    assert 'href="/admin/"' in page
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.django_db
def test_an_unknown_page_links_back_to_the_console(admin_client):
    answer = admin_client.get("/admin/nowhere")
    assert (answer.status_code, "Back to the console" in answer.content.decode()) == (404, True)


@pytest.mark.django_db
def test_a_form_without_its_csrf_token_links_back_to_the_console(admin_client):
    admin_client.handler.enforce_csrf_checks = True
    answer = admin_client.post("/admin/jobs/job/")
    assert (answer.status_code, "<h1>Not allowed</h1>" in answer.content.decode()) == (403, True)


@pytest.mark.django_db
def test_a_missing_permission_links_back_to_the_console(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("viewer", is_staff=True))
    answer = client.get("/admin/vendors/vendor/")
    assert (answer.status_code, "<h1>Not allowed</h1>" in answer.content.decode()) == (403, True)


def test_the_favicon_is_served(client):
    answer = client.get("/favicon.ico")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml")
    assert "max-age" in answer["Cache-Control"]
