"""Figures of the published experiments: which there are, what they show, the same each time."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.histogram import histogram
from bench.published.claims import findings
from bench.published.experiments import DEPTHS, EXPERIMENTS, REMEDIES, SCALES
from bench.published.rows import rows
from bench.report.figures.draw import draw
from bench.report.figures.picture import Heat, Panel, Picture
from bench.report.markdown import markdown
from bench.report.published import pictures, published_section
from bench.report.published.panels import spread
from bench.results.histogram import Histogram
from bench.results.trial import Curve, TrialResult
from support.trials import crashed, ended, result, trial, variant_results

SVG = "{http://www.w3.org/2000/svg}"


def only(results: Sequence[TrialResult]) -> Picture:
    (picture,) = pictures(results).values()
    return picture


def panels(picture: Picture) -> list[Panel]:
    return [panel for panel in picture.panels if isinstance(panel, Panel)]


def texts(svg: bytes) -> list[str]:
    root = ET.fromstring(svg)
    return ["".join(element.itertext()).strip() for element in root.iter(f"{SVG}text")]


def p1() -> list[TrialResult]:
    """Weights of size 1e-3 and, after the fix, of size .5; gradients of sizes that were published."""
    sizes = {"two layers": 1.5e-3, "three layers": 3e-6, "two layers, Xavier": 0.19}
    sizes["three layers, Xavier"] = 0.13
    random = np.random.default_rng(0)
    found = []
    for variant, size in sizes.items():
        of = trial("P1", variant, tier="quick")
        weight = 0.5 if "Xavier" in variant else 1e-3
        drawn = [
            histogram("w1", scale * random.normal(size=16), step=step, gradient=gradient)
            for step in of.looks
            for scale, gradient in ((weight, False), (size, True))
        ]
        found.append(result(of, histograms=drawn, numbers={"variance w1": size**2}))
    return found


def p6(seeds: int = 2, *, zero: bool = False) -> list[TrialResult]:
    """Norms of 1 to 6, twice the limit's share at first; ``zero``: b3 has no gradient."""
    found = []
    for seed in range(seeds):
        of = trial("P6", "global norm 15", seed=seed)
        curves = {}
        for place, name in enumerate(of.recipe.names, start=1):
            values: list[float | None] = [
                0.0 if zero and name == "b3" else place * (1 + seed) for _ in of.looks
            ]
            curves[f"norm {name}"] = Curve(list(of.looks), values)
            halved = [None if value is None else value / 2 for value in values]
            curves[f"clipped norm {name}"] = Curve(list(of.looks), halved)
        found.append(result(of, curves=curves))
    return found


def p7(depths: Sequence[int] = DEPTHS) -> list[TrialResult]:
    found = []
    for depth in depths:
        for remedy in REMEDIES:
            for seed in range(3):
                of = trial("P7", f"{remedy}, depth {depth}", seed=seed)
                dead = {"dead share": Curve(list(of.looks), [0.1 * seed] * len(of.looks))}
                found.append(ended(of, 0.9 + 0.01 * seed, curves=dead))
    return found


def everything() -> list[TrialResult]:
    p4 = trial("P4", "leaky ReLU")
    validation = {"validation accuracy": Curve(list(p4.looks), [0.978] * len(p4.looks))}
    return [
        *p1(),
        *variant_results("P2", {f"w = {scale:g}": (0.97, 0.98) for scale in SCALES}),
        *variant_results("P3", {"batch norm": (0.964, 0.965)}),
        *variant_results("P4", {"value clipping": (0.96,)}, form="session"),
        result(p4, curves=validation),
        *variant_results("P5", dict.fromkeys(EXPERIMENTS["P5"].variants, (0.9, 0.91))),
        *p6(),
        *p7(),
    ]


# --- Which figures ------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_experiment_has_its_figures() -> None:
    """Their paths name the experiment; all can be drawn and have words for those who cannot see."""
    found = pictures(everything())
    assert list(found) == [
        f"figures/published-{name}.svg"
        for name in (
            "p1-weights",
            "p2-scales",
            "p3-curves",
            "p4-curves",
            "p5-zeros",
            "p6-norms",
            "p7-accuracy",
            "p7-dead",
        )
    ]
    for path, picture in found.items():
        assert path == picture.path
        assert picture.alternative and picture.caption
        assert picture.heading in texts(draw(picture))


def test_no_figure_of_nothing() -> None:
    """What crashed, is absent or has no curve is not drawn, and is no error."""
    of = trial("P3", "batch norm")
    absent = TrialResult(trial=of, outcome="absent", absent="no session")
    assert pictures([]) == {}
    assert pictures([crashed(of), absent, result(of)]) == {}
    nothing = [result(trial(name, next(iter(e.variants)))) for name, e in EXPERIMENTS.items()]
    assert set(pictures(nothing)) <= {"figures/published-p7-accuracy.svg"}
    for picture in pictures(nothing).values():
        draw(picture)


@pytest.mark.slow
def test_equal_data_give_equal_bytes() -> None:
    """A figure that did not change shows no difference; one whose data changed does."""
    for results in (p1(), p7()):
        for path, picture in pictures(results).items():
            assert draw(picture) == draw(pictures(results)[path])
    first, second = (only(variant_results("P3", {"batch norm": (v,)})) for v in (0.95, 0.96))
    assert draw(first) != draw(second)
    assert draw(first, "png").startswith(b"\x89PNG")


# --- What they show -----------------------------------------------------------------------------


@pytest.mark.slow
def test_p1_one_axis_a_row() -> None:
    """Two rows of four, each with one axis, on which a size of 3e-6 and one of .19 are both seen."""
    picture = only(p1())
    assert picture.columns == 4
    above, below = panels(picture)[:4], panels(picture)[4:]
    assert [panel.title for panel in above] == list(EXPERIMENTS["P1"].variants)
    assert {panel.y_label for panel in above} == {"w1"}
    assert {panel.y_label for panel in below} == {"gradient of w1"}
    for row in (above, below):
        assert len({(panel.limits, panel.threshold) for panel in row}) == 1
        assert all(len(p.spreads) == len(p1()[0].trial.looks) for p in row)
    assert below[0].threshold < 3e-6 / 10
    assert "standard deviation 3e-06 (1 seed)" in texts(draw(picture))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_spread(values: list[float]) -> None:
    """Ends and root of the mean square are exact; the middle lies within the ends, in order."""
    found = spread(histogram("w1", np.array(values), step=7, gradient=False))
    assert (found.x, found.low, found.high) == (7, min(values), max(values))
    inner = (found.low, *found.inner, found.high)
    # A quantile is an end of a bin plus a share of its width: three roundings of numbers of this size.
    slack = 4 * math.ulp(max(map(abs, values)))
    assert all(a <= b + slack for a, b in pairwise(inner))
    assert found.rms == pytest.approx(math.sqrt(np.mean(np.square(values))), rel=1e-9, abs=1e-300)


def test_middle_by_hand() -> None:
    """Four bins of 25 entries: 15.85 % of 100 lie below .634 bins."""
    found = Histogram(
        name="w1",
        gradient=False,
        step=0,
        edges=[0.0, 1.0, 2.0, 3.0, 4.0],
        counts=[25, 25, 25, 25],
        total=200.0,
        squares=400.0,
    )
    assert spread(found).inner == pytest.approx((0.634, 3.366))
    assert spread(found).rms == 2.0


def test_p2_zoom_and_whole() -> None:
    """From .9 to 1 as published; from 0 only if a curve lies below .9."""
    scales = {f"w = {scale:g}": (0.97, 0.99) for scale in SCALES}
    picture = only(variant_results("P2", scales))
    assert [panel.limits for panel in panels(picture)] == [(0.9, 1.0), (0.0, 1.0)]
    assert [trace.name for trace in panels(picture)[0].traces] == [f"w = {s:g}" for s in SCALES]
    assert panels(picture)[0].traces[0].points[-1] == (10_000, pytest.approx(0.98))
    of = trial("P2", "w = 0.1")
    high = result(of, curves={"test accuracy": Curve([100], [0.95])})
    assert len(panels(only([high]))) == 1


def test_published_values_stand_at_their_epoch() -> None:
    """P3: after epochs 1 and 20; the second half has the last one alone."""
    left, right = panels(only(variant_results("P3", {"batch norm": (0.964, 0.965)})))
    assert [(mark.x, mark.value) for mark in left.marks] == [
        (1, 0.8738),
        (1, 0.8727),
        (1, 0.868),
        (20, 0.9644),
        (20, 0.963),
        (20, 0.9649),
    ]
    assert {mark.x for mark in right.marks} == {20}
    assert min(x for trace in right.traces for x, _ in trace.points) == 10
    for panel in (left, right):
        assert panel.limits is not None
        low, high = panel.limits
        assert all(low < mark.low <= mark.high < high for mark in panel.marks)


def test_spread_of_a_published_value() -> None:
    """P4's leaky ReLU: .9787 with a bar of a standard deviation."""
    of = trial("P4", "leaky ReLU")
    curves = {"validation accuracy": Curve(list(of.looks), [0.978] * len(of.looks))}
    (mark,) = panels(only([result(of, curves=curves)]))[1].marks
    assert (mark.x, mark.value) == (40, 0.9787)
    assert (mark.low, mark.high) == (pytest.approx(0.9783), pytest.approx(0.9791))


def test_a_shortened_training_has_no_final_values() -> None:
    """A tenth of P3 is not held against what the whole of it gave."""
    (panel,) = panels(only(variant_results("P3", {"batch norm": (0.9, 0.91)}, tier="quick")))
    assert {mark.x for mark in panel.marks} == {1}
    assert not [
        mark
        for panel in panels(only(variant_results("P5", {"hidden layer, zeros": (0.1135,)})))
        for mark in panel.marks
        if mark.x != 1000
    ]


def test_no_mean_over_some_seeds() -> None:
    """Where one seed has no value the mean has a gap; the other seed is drawn."""
    one, other = variant_results("P3", {"batch norm": (0.96, 0.97)})
    looks = list(other.trial.looks)
    cut = Curve(looks[:12], [*other.curves["test accuracy"].values[:11], None])
    other = msgspec.structs.replace(other, outcome="diverged", curves={"test accuracy": cut})
    traces = panels(only([one, other]))[0].traces
    mean = dict(traces[-1].points)
    assert traces[-1].name == "Keras, 2 seeds"
    assert mean[10] == pytest.approx(0.965)
    assert mean[11] is None and mean[20] is None
    assert dict(traces[0].points)[20] == 0.96


def test_p6_norms_and_their_ratio() -> None:
    """Geometric means over seeds; the ratio of w1 to w3 is that of each seed."""
    before, after, pair, ratio = panels(only(p6()))
    assert [trace.name for trace in before.traces] == ["w1", "b1", "w2", "b2", "w3", "b3"]
    assert before.traces[0].points[0] == (0.0, pytest.approx(math.sqrt(1 * 2)))
    assert after.traces[0].points[0] == (0.0, pytest.approx(math.sqrt(1 * 2) / 2))
    assert before.limits == after.limits
    assert [level.value for level in after.levels] == [15.0]
    assert [trace.name for trace in pair.traces] == ["w1", "w3"]
    assert len(ratio.traces) == 3
    assert all(y == pytest.approx(1 / 5) for trace in ratio.traces for _, y in trace.points)
    assert before.traces[0].points[-1][0] == pytest.approx(30)


def test_p6_a_gradient_of_zero() -> None:
    """A logarithmic axis has no place for it: a gap, and the figure is drawn."""
    picture = only(p6(zero=True))
    b3 = next(trace for trace in panels(picture)[0].traces if trace.name == "b3")
    assert {y for _, y in b3.points} == {None}
    draw(picture)


def test_p7_heat_map() -> None:
    """Mean and range of each cell, in words too; what diverged or is missing is said."""
    results = p7((10, 30))
    lost = msgspec.structs.replace(results[0], outcome="diverged")
    died = crashed(results[-1].trial)
    (heat,) = pictures([lost, *results[1:-1], died])["figures/published-p7-accuracy.svg"].panels
    assert isinstance(heat, Heat)
    assert heat.columns == ("10", "30", "50")
    assert heat.values[1] == (pytest.approx(0.91), pytest.approx(0.91), None)
    assert heat.texts[1] == ("0.910\n(0.900 to 0.920)",) * 2 + ("not measured",)
    assert heat.texts[-1][1] == "0.905\n(0.900 to 0.910)"
    assert heat.texts[0][0] == "0.915\n(0.910 to 0.920)\n1 of 3 diverged"


def test_p7_dead_units_of_relus_alone() -> None:
    """A panel per depth; no line of sigmoid or tanh, whose units do not die."""
    found = panels(pictures(p7())["figures/published-p7-dead.svg"])
    assert [panel.title for panel in found] == [f"{depth} hidden layers" for depth in DEPTHS]
    named = [trace for trace in found[0].traces if trace.name]
    assert [trace.name for trace in named] == [name for name in REMEDIES if "ReLU" in name]
    assert named[0].points[0] == (0, pytest.approx(0.1))


def test_words_on_the_heat_map_can_be_read() -> None:
    """Contrast of at least 4.5 to 1 (WCAG 2.2, criterion 1.4.3) at every accuracy."""
    from matplotlib import colormaps

    from bench.report.figures.panels import legible, luminance

    for value in np.linspace(0, 1, 256):
        red, green, blue, _ = colormaps["cividis"](value)
        tint = luminance(red, green, blue)
        word = {"black": 0.0, "white": 1.0}[legible(red, green, blue)]
        assert (max(tint, word) + 0.05) / (min(tint, word) + 0.05) >= 4.5


# --- In a report -------------------------------------------------------------------------------


def test_real_findings_and_rows() -> None:
    """What is said of synthetic results becomes Markdown; it links the figures that are stored."""
    results = everything()
    text = markdown([published_section(results, findings(results), rows(results))])
    assert set(re.findall(r"\]\((figures/[^)]+)\)", text)) == set(pictures(results))
    assert len(re.findall(r"^### P\d: ", text, re.M)) == len(EXPERIMENTS)
    for name in (found.name for found in findings(results)):
        assert f"`{name}`" in text
