"""What the client is: light, typed, and the same whether it is awaited or not."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi.routing import APIRoute

from engine.api import app
from engine.api.imbrace import schemas as imbrace
from engine.api.targeting import audience_answers, people, plans, reports, template_schemas, timeline
from engine.api.targeting import schemas as targeting
from engine.api.targeting.email_stats import EmailStats
from engine.api.umanize import schemas as umanize
from muster_client import AsyncMuster, ConnectionFailed, Muster, Retries, types
from tests.harness.child import ROOT

if TYPE_CHECKING:
    from pydantic import BaseModel

CLIENT = ROOT / "clients" / "python"


def test_it_imports_httpx_and_the_standard_library_alone() -> None:
    imported = set()
    for file in (CLIENT / "muster_client").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    assert imported - sys.stdlib_module_names == {"httpx", "muster_client"}


@pytest.mark.parametrize(
    ("answer", "model"),
    [
        (types.Campaign, imbrace.ImbraceCampaign),
        (types.Touchpoint, imbrace.ImbraceTouchpoint),
        (types.Validation, imbrace.ImbraceValidated),
        (types.JobStatus, targeting.JobStatus),
        (types.JobExecution, targeting.Execution),
        (types.Waiting, targeting.Waiting),
        (types.Recipient, targeting.Recipient),
        (types.RetriggerResult, targeting.RetriggerResult),
        (types.EmailStats, EmailStats),
        (types.Target, targeting.Target),
        (types.Template, template_schemas.Template),
        (types.Topic, targeting.Topic),
        (types.Channel, targeting.Channel),
        (types.Flow, targeting.Flow),
        (types.Step, targeting.Step),
        (types.Entity, targeting.Entity),
        (types.Checked, targeting.ChannelCheck),
        (types.PreviewNote, targeting.PreviewNote),
        (types.TargetPreview, targeting.TargetPreview),
        (types.CampaignPlan, plans.CampaignPlan),
        (types.TimelineEntry, timeline.TimelineEntry),
        (types.Attachment, template_schemas.Attachment),
        (types.AttachmentWithContent, template_schemas.AttachmentWithContent),
        (types.TemplatePreview, template_schemas.TemplatePreview),
        (types.TemplateTest, template_schemas.TemplateTest),
        (types.PersonExport, people.PersonExport),
        (types.Erasure, people.Erasure),
        (types.Suppression, audience_answers.Suppressed),
        (types.SuppressionImport, audience_answers.SuppressionImport),
        (types.ImportResult, audience_answers.EntityImport),
        (types.EventAnswer, reports.EventAnswer),
        (types.EventAnswers, reports.EventAnswers),
        (types.Customer, umanize.UmanizeCustomer),
        (types.EnrolledTarget, umanize.UmanizeTarget),
        (types.Enrolment, umanize.UmanizeEnrolled),
        (types.EnrolmentError, umanize.UmanizeBulkError),
        (types.EnrolmentResult, umanize.UmanizeBulkResult),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) and hasattr(value, "__total__") else "",
)
def test_required_keys_are_those_that_every_answer_has(answer: Any, model: type[BaseModel]) -> None:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    always = {
        name for name, field in fields.items() if field.is_required() or field.default_factory is not None
    }
    assert answer.__annotations__.keys() <= fields.keys()
    assert answer.__required_keys__ == answer.__annotations__.keys() & always


def _nouns(client: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(client).items() if not name.startswith("_")}


def test_both_clients_can_do_the_same() -> None:
    waits, awaited = (
        {
            f"{noun}.{verb}": str(inspect.signature(method))
            for noun, resource in _nouns(kind("http://muster", "k")).items()
            for verb, method in inspect.getmembers(resource, inspect.ismethod)
        }
        for kind in (Muster, AsyncMuster)
    )
    assert {
        verb: shape.replace("AsyncIterator", "Iterator").replace("AsyncStream", "Stream")
        for verb, shape in awaited.items()
    } == waits


#: Paths that the client leaves out, and why.
LEFT_OUT = {
    "/api/v1/campaigns": "the Campaigns API's own document of a campaign",
    "/api/v1/campaigns/{}": "the same",
    "/v1/campaign": "the Targeting API's own document of a campaign",
    "/v1/campaign/{}/first-contact": "set up once, in the console or by a campaign file",
    "/v1/campaign/{}/portals": "portals are set up once",
    "/v1/campaign/{}/recipient": "for the Targeting API's own client",
    "/v1/campaign/{}/recipient/{}": "the same",
    "/v1/campaign/{}/recipient/{}/entity_ui:restore": "the same",
    "/v1/campaign/{}/recipient/{}/entity_ui:status": "the same",
    "/v1/campaign/{}/recipient/{}/portal:status": "the same",
    "/v1/campaign:discover": "the same",
    "/v1/campaign:match": "the same",
    "/v1/campaign:setup": "the same",
    "/v1/product-recommendation/{}": "the same",
    "/v1/target/queries": "the same",
    "/v1/target:match": "the same",
    "/v1/portal": "set up once",
    "/v1/portal/{}": "the same",
    "/v1/portal/{}/widget": "the same",
    "/v1/portal/{}/widget/{}": "the same",
    "/v1/key": "an administrator's, in the console or with muster keys",
    "/v1/key/{}": "the same",
    "/v1/key/{}:revoke": "the same",
    "/v1/key/{}:rotate": "the same",
    "/v1/organization": "the same",
    "/v1/audit": "the same",
    "/v1/inbound/email": "called by a mail server",
}


def test_it_covers_the_api() -> None:
    """Each operation of the API is called by a method, unless its path is left out for a reason."""
    offered = {
        (method, re.sub(r"{\w+}", "{}", route.path))
        for router in app.DIALECTS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    called = _called()
    assert called <= offered
    missing = {(method, path) for method, path in offered - called if path not in LEFT_OUT}
    one = ("/v1/campaign/{}", "/channel-service/v1/campaign/{}")
    assert missing == {("GET", one[0]), ("DELETE", one[0])}, "of these the client calls the ones at " + one[1]
    assert LEFT_OUT.keys() <= {path for _, path in offered - called}


def _called() -> set[tuple[str, str]]:
    """What each method of the client asks for first, with `{}` for ids."""
    called: set[tuple[str, str]] = set()

    def answer(request: httpx.Request) -> httpx.Response:
        called.add((request.method, request.url.path.replace("ID", "{}")))
        raise httpx.ConnectError("no answer is needed")

    with Muster(
        "http://muster", "k", transport=httpx.MockTransport(answer), retries=Retries(attempts=1)
    ) as client:
        for resource in _nouns(client).values():
            for verb, method in inspect.getmembers(resource, inspect.ismethod):
                if verb.startswith("_"):
                    continue
                with pytest.raises(ConnectionFailed):
                    next(method(*_arguments(method)))
    return called


def _arguments(method: Any) -> list[Any]:
    """A value for each parameter that must be given."""
    values = {"Mapping": {}, "Sequence": [], "bytes": b"", "Stream": b""}
    return [
        next((value for name, value in values.items() if str(one.annotation).startswith(name)), "ID")
        for one in inspect.signature(method).parameters.values()
        if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD
    ]


@pytest.mark.slow
def test_types(tmp_path: Path) -> None:
    """`api_types.py` says which type every call has; it is read by mypy and never run."""
    command = [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path}", "--follow-imports=silent"]
    page = Path(__file__).with_name("api_types.py")
    done = subprocess.run([*command, str(page)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_operations_of_the_seed_have_its_names() -> None:
    names = (
        "list get create delete list_touchpoints get_touchpoint create_touchpoint update_touchpoint "
        "delete_touchpoint validate_touchpoint"
    )
    for client in (Muster("http://muster", "k"), AsyncMuster("http://muster", "k")):
        assert set(names.split()) <= set(dir(client.campaign))
