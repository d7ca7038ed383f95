"""The front page: what runs here, how it is, and where each API is documented. No script or style from elsewhere."""

from __future__ import annotations

from html import escape

from services.portal.status import ServiceStatus
from services.portal.texts import Language, text


def page(statuses: list[ServiceStatus], links: dict[str, str], language: Language, as_of: str) -> str:
    """Return the whole page; `links` are the addresses of the services as the browser reaches them."""
    other = "zh" if language == "en" else "en"
    return f"""<!doctype html>
<html lang="{"en" if language == "en" else "zh-CN"}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(text("title", language))}</title>
<link rel="stylesheet" href="/static/front.css">
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<noscript><meta http-equiv="refresh" content="5"></noscript>
<script src="/static/front.js" defer></script>
</head>
<body>
<header>
<div>
<h1>{escape(text("title", language))}</h1>
<p>{escape(text("motto", language))}</p>
</div>
<a class="language" href="/?lang={other}" lang="{other}">{escape(text("other_language", language))}</a>
</header>
<main id="status" aria-live="polite" data-source="/status">{fragment(statuses, links, language, as_of)}</main>
</body>
</html>
"""


def fragment(statuses: list[ServiceStatus], links: dict[str, str], language: Language, as_of: str) -> str:
    """Return the part of the page that refreshes itself."""
    good = all(status.state == "ready" for status in statuses)
    headline = text("all_ready" if good else "some_not", language)
    cards = "".join(_card(status, links[status.name], language) for status in statuses)
    return (
        f'<p class="headline {"good" if good else "bad"}">{escape(headline)}'
        f"<small>{escape(text('as_of', language))} {escape(as_of)}</small></p>"
        f'<div class="cards">{cards}</div>'
    )


def _card(status: ServiceStatus, link: str, language: Language) -> str:
    name = escape(status.name)
    checks = "".join(
        f'<li class="{"good" if ok else "bad"}"><span>{escape(check)}</span> <em>{escape(told)}</em></li>'
        for check, ok, told in status.checks
    )
    details = (
        f"<details><summary>{escape(text('checks', language))}</summary><ul>{checks}</ul></details>" if checks else ""
    )
    href = escape(link, quote=True)
    return (
        f'<section class="card {status.state}" id="service-{name}">'
        f"<h2>{escape(text(status.name, language))} <code>{name}</code>"
        f'<span class="state">{escape(text(status.state, language))}</span></h2>'
        f"<p>{escape(text(f'{status.name}.what', language))}</p>"
        f'<nav><a class="main" href="{href}/docs">{escape(text("docs", language))}</a>'
        f'<a href="{href}/openapi.json">{escape(text("openapi", language))}</a>'
        f'<a href="{href}/metrics">{escape(text("metrics", language))}</a></nav>{details}</section>'
    )
