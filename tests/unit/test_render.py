from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from pat_core.channels.render import Mail, Renderer
from pat_core.digest import compose
from pat_core.model import Notice
from tests.builders import ANA, BO, HOSTILE_NAMES, a_notice
from tests.fakes import NOW


class Page(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def mail(*notices: Notice, public_url: str = "") -> Mail:
    return Renderer(public_url).render(compose(notices, ANA.address), NOW)


class TestFacts:
    def test_html_and_text_say_the_same(self) -> None:
        both = mail(a_notice("ci-build-agent", 0.9, scope="vso.code_write vso.packaging"))
        for body in (both.html, both.text):
            for fact in (
                "Hello Ana Almeida,",
                "ci-build-agent",
                "contoso",
                "Tue 24 Nov 2026, 05:36 UTC",
                "in 22 hours",
                "read and write code, read packages",
                "https://dev.azure.com/contoso/_usersSettings/tokens",
                "let it lapse",
                "dev.azure.com yourself",
            ):
                assert fact in body

    def test_an_expired_token_is_said_to_have_expired(self) -> None:
        both = mail(a_notice("ci", -2))
        assert "Expired 2 days ago" in both.html
        assert "Expired: Sat 21 Nov 2026, 08:00 UTC (2 days ago)" in both.text
        assert "have expired" in both.text

    def test_what_is_not_listed_is_counted(self) -> None:
        both = mail(*(a_notice(f"token-{number:03d}") for number in range(130)))
        assert "and 30 more" in both.html
        assert "and 30 more" in both.text
        assert "token-099" in both.html
        assert "token-100" not in both.html

    def test_a_global_pat_is_told_when_it_ends(self) -> None:
        notice = a_notice()
        both = mail(replace(notice, token=replace(notice.token, is_global=True)))
        for body in (both.html, both.text):
            assert "Tue 1 Dec 2026, 00:00 UTC" in body
        assert "Tue 1 Dec 2026" not in mail(notice).html

    def test_a_mail_for_two_owners_greets_neither(self) -> None:
        assert "Hello," in mail(a_notice("a"), a_notice("b", owner=BO)).text


class TestLinks:
    def test_they_lead_to_our_page_where_there_is_one(self) -> None:
        both = mail(a_notice("a b/c"), public_url="https://pats.contoso.com/")
        link = "https://pats.contoso.com/tokens/contoso/a%20b%2Fc"
        assert link in both.text
        assert [each["href"] for each in Page(both.html).all("a")] == [link]

    def test_they_carry_no_authority(self) -> None:
        assert not re.search(r"https://\S*[?#]", mail(a_notice(), public_url="https://p.x").text)


class TestMarkup:
    def test_nothing_is_loaded_and_nothing_runs(self) -> None:
        page = Page(mail(a_notice()).html)
        for tag in ("img", "script", "link", "iframe", "object", "form", "base"):
            assert page.all(tag) == []

    def test_the_table_of_tokens_has_a_caption_and_heads_and_the_others_are_layout(self) -> None:
        page = Page(mail(a_notice()).html)
        data = [table for table in page.all("table") if table.get("role") != "presentation"]
        assert len(data) == 1
        assert len(page.all("caption")) == 1
        assert {head.get("scope") for head in page.all("th")} == {"col"}

    def test_the_light_style_stands_in_each_element(self) -> None:
        page = Page(mail(a_notice()).html)
        assert "background-color: #f3f4f6" in str(page.all("body")[0]["style"])
        assert all(cell.get("style") for cell in page.all("td"))

    def test_dark_mode_and_small_screens_are_kept_as_rules(self) -> None:
        html = mail(a_notice()).html
        assert "prefers-color-scheme: dark" in html
        assert "max-width: 540px" in html

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    def test_a_hostile_name_is_only_text(self, name: str) -> None:
        plain, hostile = Page(mail(a_notice()).html), Page(mail(a_notice(name)).html)
        assert [tag for tag, _ in hostile.found] == [tag for tag, _ in plain.found]
        assert not re.search(
            "[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", mail(a_notice(name)).text
        )
        assert "49" not in mail(a_notice("{{ 7 * 7 }}")).subject


class TestTwoInARow:
    def test_they_share_nothing(self) -> None:
        renderer = Renderer()
        first = renderer.render(compose([a_notice("first-token")], ANA.address), NOW)
        second = renderer.render(compose([a_notice("other", owner=BO)], BO.address), NOW)
        assert "first-token" not in second.html + second.text + second.subject
        assert "Ana" not in second.html + second.text
        again = renderer.render(compose([a_notice("first-token")], ANA.address), NOW)
        assert again == first

    def test_the_text_is_true_when_it_leaves(self) -> None:
        digest = compose([a_notice("ci", 6)], ANA.address)
        later = Renderer().render(digest, NOW + timedelta(days=4))
        assert "in 2 days" in later.text
        assert later.subject == '[Azure DevOps] "ci" expires in 2 days'
