"""One person with all campaigns, given out and erased; the suppression list as a file; how a channel sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.console.world import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.api.conftest import Api
    from tests.console.conftest import Person
    from tests.console.world import World

    SignIn = Callable[..., Person]


def test_a_person_is_shown_with_campaigns_given_out_and_erased(
    api: Api, sign_in: SignIn, world: World
) -> None:
    path = f"/console/audience/people/contact/{world.recipient_id}"
    api.runtime.open_keys()
    admin, operator = sign_in("admin"), sign_in("operator")
    page = operator.get(path).text
    assert f"/console/campaigns/{world.campaign_id}/recipients/{world.recipient_id}" in page
    assert f"{path}/erase" not in page
    kept = operator.get(f"{path}/export.json").json()
    assert kept["campaigns"][0]["campaign"]["id"] == str(world.campaign_id)
    assert operator.submit(f"{path}/erase").status_code == 403
    assert "1 campaign too" in admin.get(f"{path}/erase").text
    assert admin.submit(f"{path}/erase").status_code == 303
    assert admin.get(path).status_code == 404


def test_the_suppression_list_goes_out_and_comes_in_as_a_file(sign_in: SignIn, client: httpx.Client) -> None:
    person = sign_in("operator")
    lines = b"address,medium\nada@example.com,email\nnobody,email\n"
    headers = {"x-csrf-token": person.token(), "content-type": "text/csv", "hx-request": "true"}
    done = person.post("/console/audience/suppressions/import", content=lines, headers=headers)
    assert done.status_code == 200, done.text
    assert "ada@example.com" in person.get("/console/audience/suppressions.csv").text
    assert "Barred by hand" in person.get("/console/audience/suppressions").text
    assert client.get("/v1/suppression").json()["total"] == 1
    refused = person.post("/console/audience/suppressions/import", content=b"x\n1\n", headers=headers)
    assert refused.status_code == 400
    assert person.post("/console/audience/suppressions/import", content=lines).status_code == 403


def test_how_a_channel_sends_is_set_and_what_the_form_does_not_show_stays(
    sign_in: SignIn, client: httpx.Client
) -> None:
    limits = {"domains": {"gmail.com": {"messages": 5}}, "rate": {"messages": 9}}
    mail = {"kind": "smtp", "settings": {"host": "mail.example.com", "from_email": "a@example.com"}}
    other = client.post("/v1/channel", json={"name": HOSTILE[:140], **mail}).json()["_id"]
    made = client.post("/v1/channel", json={"name": "c", "limits": limits, **mail}).json()["_id"]
    admin = sign_in("admin")
    path = f"/console/channels/{made}/edit"
    assert 'name="rate" inputmode="numeric" value="9"' in admin.get(path).text
    form = {
        "name": "c",
        "settings.host": "mail.example.com",
        "settings.from_email": "a@example.com",
        "rate": "20",
        "per": "minute",
        "warm_up": "100",
        "warm_up_start": "2026-03-02",
        "fallback_channel_id": other,
        "cost_per_message": "0.01",
    }
    done = admin.submit(path, **form)
    assert done.status_code == 303, done.text.partition('role="alert"')[2][:400]
    kept = client.get(f"/v1/channel/{made}").json()
    assert kept["limits"]["rate"]["messages"] == 20
    assert "gmail.com" in kept["limits"]["domains"]
    assert kept["limits"]["warm_up"]["messages"] == 100
    assert kept["fallback_channel_id"] == other
    assert kept["cost_per_message"] == 0.01
    assert admin.submit(path, **{**form, "rate": "many"}).status_code == 400
