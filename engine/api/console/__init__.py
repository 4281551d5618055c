"""The console: pages for people, over the services that the API calls. `muster api` and `muster dev` serve it at `/`.

Conventions for adding a page:

- A page is one module here and one template in `templates/` of the same name; the module's `router` goes into
  `ROUTERS`. What several pages draw is a macro in `templates/macros.html`; what is swapped while a page is open is
  a template of its own whose name begins with `_` (`_campaign_progress.html`), which the page includes.
- No decision stands here. An endpoint reads its parameters, calls services in `view.call.read()` or
  `view.call.transaction()`, and gives their answers to `view.page(...)`. A rule that a page needs and no service
  has becomes a service first, with its own test.
- Every query is a service's, scoped by organization, and a page has a number of statements that does not grow with
  what it shows (tests/console/test_statements.py counts them: add the page there).
- Routes are made with `ConsoleRoute`, which needs a session; `role` is what a change needs, as in the API. A
  template asks `can("operator")` before it shows a button that would be refused.
- A change is a POST with the token of the page (`{{ csrf_field() }}`); what cannot be undone, or reaches people,
  has a GET of the same path before it that says what it will do to how many. Both are dialogs where there is
  JavaScript and pages where there is none: the link has `data-dialog`.
- After a change: `view.go(path, said)`; `said` is shown once. Bad input is caught as `Invalid` and shown at its
  field.
- What people see is in English in templates and modules, through `_()`/`{% trans %}` or `view.gettext()`; `make
  messages` collects it into `locale/de.po`, and a test fails while a German text is missing. Words of the engine
  itself (reasons, error texts of providers) are shown as they are.
- Numbers, instants and spans go through the filters of `formats` (`n`, `when`, `span`, `money`): an instant
  is shown in the reader's zone, with the campaign's beside it where that is another.
- No inline script or style, no `style=` attribute: the policy forbids both. Widths are attributes of SVG, or
  `<progress>`. Scripts are in `static/console.js` and only add comfort; what shows must show without them.
- Styles are in `static/console.css`, by component; colours are its variables, so that light and dark follow.
- Add the page to `tests/console/pages.py`: accessibility, other hosts, hostile names and pictures come from that
  list.
"""

from engine.api.console import (
    assets,
    audience,
    calendar,
    campaign,
    campaigns,
    channels,
    draft,
    home,
    messages,
    moves,
    new_campaign,
    operations,
    pictures,
    plan,
    recipients,
    settings,
    sign_in,
    suppressions,
    topics,
    webhooks,
)
from engine.api.console.errors import missing_page
from engine.api.console.live import LiveViews
from engine.api.console.paths import ROOT

__all__ = ["ROOT", "ROUTERS", "LiveViews", "missing_page"]

ROUTERS = (
    assets.router,
    *sign_in.ROUTERS,
    home.router,
    campaigns.router,
    new_campaign.router,
    draft.router,
    *pictures.ROUTERS,
    campaign.router,
    moves.router,
    plan.router,
    recipients.router,
    *suppressions.ROUTERS,
    topics.router,
    *audience.ROUTERS,
    *messages.ROUTERS,
    calendar.router,
    operations.router,
    channels.router,
    *webhooks.ROUTERS,
    *settings.ROUTERS,
)
