"""What the console shows of an error is a page that leads back, and the log has a line without a
traceback.
"""

import pytest


@pytest.mark.django_db
def test_a_request_that_can_not_be_served_leads_back_to_the_console(admin_client, capfd, settings):
    settings.ALLOWED_HOSTS = ["testserver"]
    answer = admin_client.get("/admin/", headers={"Host": "evil.example"})
    page = answer.content.decode()
    assert answer.status_code == 400
    assert "<h1>Bad request</h1>" in page
    assert 'href="/admin/"' in page
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.django_db
def test_an_address_that_is_not_there_leads_back_to_the_console(admin_client):
    answer = admin_client.get("/admin/nowhere")
    assert (answer.status_code, "Back to the console" in answer.content.decode()) == (404, True)


@pytest.mark.django_db
def test_a_form_without_its_token_leads_back_to_the_console(admin_client):
    admin_client.handler.enforce_csrf_checks = True
    answer = admin_client.post("/admin/jobs/job/")
    assert (answer.status_code, "<h1>Not allowed</h1>" in answer.content.decode()) == (403, True)


@pytest.mark.django_db
def test_what_a_user_may_not_do_leads_back_to_the_console(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("viewer", is_staff=True))
    answer = client.get("/admin/vendors/vendor/")
    assert (answer.status_code, "<h1>Not allowed</h1>" in answer.content.decode()) == (403, True)


def test_every_door_has_an_icon(client):
    answer = client.get("/favicon.ico")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml")
    assert "max-age" in answer["Cache-Control"]
