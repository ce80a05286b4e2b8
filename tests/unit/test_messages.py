from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pat_core import messages
from pat_core.errors import BadMessage, MessageTooNew
from pat_core.messages import LARGEST, ListOrder, ScanOrder, read_order, scan_orders
from pat_core.model import Owner, UserPage

RUN = "20261123T080000.000000Z-abcdef"
ORDER = ListOrder(run_id=RUN, organization="contoso")
LARGEST_OF_A_QUEUE = 48 * 1024


def owners(count: int, name: str = "x") -> tuple[Owner, ...]:
    return tuple(
        Owner("contoso", f"aad.{number:040d}", name, f"user{number}@contoso.example")
        for number in range(count)
    )


class TestScanOrders:
    @pytest.mark.parametrize(
        ("count", "sizes"), [(0, []), (1, [1]), (100, [100]), (101, [100, 1]), (500, [100] * 5)]
    )
    def test_a_page_is_cut_into_batches_of_a_hundred(self, count: int, sizes: list[int]) -> None:
        orders = list(scan_orders(ORDER, UserPage(owners(count))))
        assert [len(order.users) for order in orders] == sizes
        assert [owner for order in orders for owner in order.owners] == list(owners(count))

    @given(
        st.lists(st.text(max_size=300), max_size=150),
        st.lists(st.text(max_size=1000), max_size=30),
    )
    def test_no_message_is_larger_than_a_queue_takes(
        self, names: list[str], faults: list[str]
    ) -> None:
        page = UserPage(
            tuple(Owner("contoso", f"aad.{i}", name) for i, name in enumerate(names)),
            tuple(faults),
        )
        orders = list(scan_orders(ORDER, page))
        for order in orders:
            message = order.to_json()
            assert len(message.encode()) <= LARGEST_OF_A_QUEUE
            assert read_order(ScanOrder, message) == order
        assert sum(len(order.users) for order in orders) == len(names)
        assert sum(order.unlisted for order in orders) == len(faults)

    def test_the_longest_names_make_more_batches(self) -> None:
        orders = list(scan_orders(ORDER, UserPage(owners(100, "\U0001f600" * 400))))
        assert len(orders) > 5
        assert max(len(order.to_json()) for order in orders) <= LARGEST + 2000

    def test_users_that_could_not_be_read_are_counted(self) -> None:
        page = UserPage(owners(1), tuple(f"user {number}: bad" for number in range(50)))
        *_, last = scan_orders(ORDER, page)
        assert (last.users, last.unlisted, len(last.faults)) == ([], 50, 20)

    def test_those_of_each_page_are_counted(self) -> None:
        page = UserPage((), ("user 1: descriptor is missing",))
        pages = [ORDER, ORDER.following("a"), ORDER.following("a").following("b")]
        found = [only for order in pages for only in scan_orders(order, page)]
        assert len({order.key for order in found}) == 3
        assert found[1].faults == ["page 2, user 1: descriptor is missing"]
        assert found[1].key == next(scan_orders(ORDER.following("a"), page)).key


class TestKey:
    def test_the_same_batch_has_one_name(self) -> None:
        one, again = (next(scan_orders(ORDER, UserPage(owners(5)))) for _ in range(2))
        assert one.key == again.key

    def test_another_batch_has_another(self) -> None:
        (one,) = scan_orders(ORDER, UserPage(owners(5)))
        (other,) = scan_orders(ORDER, UserPage(owners(6)))
        keys = {one.key, other.key, one.rest(one.owners).key, one.rest(one.owners[1:]).key}
        assert len(keys) == 4


class TestReadOrder:
    def test_what_was_written_is_read(self) -> None:
        order = ORDER.following("a+b/==")
        assert read_order(ListOrder, order.to_json()) == order
        assert (order.page, order.continuation_token) == (2, "a+b/==")

    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            ("", "Invalid JSON"),
            ("[]", "Input should be"),
            (json.dumps({"version": 1, "organization": "contoso"}), "run_id: Field required"),
            (json.dumps({"version": 0, "run_id": RUN, "organization": "c"}), "version"),
            (json.dumps({"version": 10**9, "run_id": RUN, "organization": "c"}), "version"),
            (json.dumps({"version": "2", "run_id": RUN, "organization": "c"}), "version"),
            (json.dumps({"version": [], "run_id": RUN, "organization": "c"}), "version"),
            (json.dumps({"run_id": RUN, "organization": 7}), "organization"),
            (json.dumps({"run_id": RUN, "organization": "c", "more": 1}), "more"),
        ],
    )
    def test_what_is_none_of_ours_is_refused_with_the_reason(
        self, message: str, reason: str
    ) -> None:
        with pytest.raises(BadMessage, match=reason):
            read_order(ListOrder, message)

    def test_one_of_a_newer_version_says_what_to_do(self) -> None:
        message = json.dumps({"version": 2, "run_id": RUN, "organization": "c", "more": 1})
        with pytest.raises(MessageTooNew, match=r"version 2; this program knows up to 1\. Deploy"):
            read_order(ListOrder, message)

    def test_one_of_an_older_version_is_brought_along(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # So far no shape has changed: version 0, which never was, called the organization by "org".
        def renamed(given: dict[str, object]) -> dict[str, object]:
            return {"organization" if name == "org" else name: given[name] for name in given}

        monkeypatch.setattr(messages, "_UPGRADES", {0: renamed})
        before = {"version": 0, "run_id": RUN, "org": "contoso", "page": 3}
        order = read_order(ListOrder, json.dumps(before))
        assert order == ORDER.model_copy(update={"page": 3})
        with pytest.raises(BadMessage, match="organization: Field required"):
            read_order(ListOrder, json.dumps({"version": 0, "run_id": RUN}))

    def test_the_reason_holds_nothing_of_the_message(self) -> None:
        with pytest.raises(BadMessage) as caught:
            read_order(ListOrder, json.dumps({"run_id": "s3cret", "organization": "c"}))
        assert "s3cret" not in str(caught.value)

    @given(st.text() | st.dictionaries(st.text(), st.text() | st.integers()).map(json.dumps))
    def test_whatever_comes_is_refused_or_read(self, message: str) -> None:
        for kind in (ListOrder, ScanOrder):
            try:
                order = read_order(kind, message)
            except (BadMessage, MessageTooNew):
                continue
            assert datetime.strptime(order.run_id[:8], "%Y%m%d")  # noqa: DTZ007 - only its form
