"""The handbook's activity catalogue, written again by hand: what each type needs."""

from __future__ import annotations

PREFIX = "opsledger.activity."
VOIDED = "opsledger.activity.voided"
FORMS = ("original", "share", "direct_message")

FIELD_KINDS: dict[str, type] = {
    "account": str,
    "platform": str,
    "quantity": int,
    "on_topic": bool,
    "form": str,
    "counterpart": str,
    "campaign": str,
    "project": str,
    "partner": str,
    "client": str,
    "region": str,
    "url": str,
    "title": str,
    "note": str,
}

NEEDS: dict[str, tuple[str, ...]] = {
    "channel.partner_opened": ("partner",),
    "channel.region_record": ("region",),
    "campaign.plan": ("campaign",),
    "campaign.run": ("campaign",),
    "campaign.report": ("campaign",),
    "seo.strategy": (),
    "seo.task": (),
    "link.exchanged": ("url",),
    "link.external": ("url",),
    "affiliate.ad": (),
    "affiliate.monitoring": (),
    "qq.comment": ("account",),
    "qq.link": ("account",),
    "email.sent": ("quantity",),
    "tieba.post": ("account",),
    "forum.post": ("account", "platform"),
    "baidu_qa.answer": (),
    "baidu_qa.question": (),
    "qa.answer": ("platform",),
    "qa.question": ("platform",),
    "blog.original": ("account",),
    "blog.reply": ("account",),
    "blog.exchange_comment": ("counterpart",),
    "blog.article_comment": ("account",),
    "blog.thread_comment": ("account",),
    "encyclopedia.update": ("account",),
    "cooperation.negotiated": ("partner",),
    "weibo.post": ("account", "form"),
    "wechat.post": ("account", "form"),
    "publishing.item": ("account",),  # "`publishing.item` needs an account, `advertorial.released` nothing"
    "advertorial.released": (),
    "custody.negotiation": ("client",),
    "custody.signed": ("client",),
    "custody.step": ("client",),
    "custody.ended": ("client",),
    "hosting.daily": ("client", "account"),
    "data.daily_statistics": (),
    "data.channel_report": (),
    "data.site_analysis": (),
    "research.item": (),
    "research.requirement": (),
    "plan.market": (),
    "plan.operation": (),
    "site.work": (),
}
