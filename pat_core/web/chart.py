"""The chart of expiries by week and risk, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final
from xml.etree.ElementTree import Element

from pygal import Config, StackedBar
from pygal.style import Style

from pat_core.risk import RISK_WORDS, Risk

# From alarm to rest; each differs from its neighbours in lightness too, for who sees no hues.
_COLOURS: Final = ("#b42318", "#e8833a", "#f2c14e", "#3b6fd8", "#9db8ee")
_FONT: Final = "Segoe UI, Roboto, Helvetica, Arial, sans-serif"
_STYLE: Final = Style(
    background="transparent",
    plot_background="transparent",
    foreground="#4b5563",
    foreground_strong="#1f2937",
    foreground_subtle="#d5d9df",
    opacity="1",
    opacity_hover=".8",
    transition="0s",
    colors=_COLOURS,
    font_family=_FONT,
    label_font_size=13,
    major_label_font_size=13,
    legend_font_size=14,
    no_data_font_size=18,
)
_DARK: Final = (
    "inline:@media (prefers-color-scheme: dark) {"
    " {{ id }} .axis text { fill: #c3c9d3 !important }"
    " {{ id }} .legends .legend text { fill: #c3c9d3 !important }"
    " {{ id }} .axis path { stroke: #2d333d !important } }"
)
_QUIET: Final = "inline:{{ id }} .axis path { stroke: #d5d9df !important }"
_EACH_MONTH: Final = 4


def chart(weeks: Sequence[tuple[date, Mapping[Risk, int]]]) -> str:
    """An SVG of its own, without a script, for weeks by their Mondays."""
    bars = StackedBar(
        Config(
            style=_STYLE,
            width=1040,
            height=320,
            margin=8,
            spacing=6,
            explicit_size=False,
            legend_at_bottom=True,
            legend_at_bottom_columns=len(Risk),
            legend_box_size=12,
            js=(),
            show_minor_x_labels=False,
            truncate_label=-1,
            truncate_legend=-1,
            no_data_text="No token expires within a year",
            value_formatter=lambda value: f"{value or 0:,.0f}",
            print_values=False,
            rounded_bars=2,
            min_scale=3,
            max_scale=5,
        )
    )
    bars.config.css.extend((_QUIET, _DARK))
    labels = [f"{monday.day} {monday:%b}" for monday, _ in weeks]
    bars.x_labels = labels
    bars.x_labels_major = labels[::_EACH_MONTH]
    for risk in Risk:
        bars.add(RISK_WORDS[risk], [counts.get(risk, 0) for _, counts in weeks])
    bars.add_xml_filter(_without_script)
    svg: str = bars.render(is_unicode=True, disable_xml_declaration=True)
    return svg


def _without_script(root: Element) -> Element:
    for parent in list(root.iter()):
        for child in [each for each in parent if str(each.tag).rpartition("}")[2] == "script"]:
            parent.remove(child)
    return root
