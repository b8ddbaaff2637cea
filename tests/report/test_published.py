"""The published experiments' page: the answer first, then each experiment's numbers and findings."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.commands import main as cli
from bench.published.claims import CLAIMS, Finding
from bench.published.experiments import EXPERIMENTS
from bench.published.rows import Row
from bench.report.document import Document
from bench.report.figures.draw import draw
from bench.report.html import html
from bench.report.markdown import markdown
from bench.report.published import pictures, published_section
from bench.results.trial import TrialResult
from support.trials import crashed, result, trial, variant_results


def finding(**changes: Any) -> Finding:
    told: Mapping[str, Any] = {
        "experiment": "P5",
        "form": "keras",
        "name": "zeros-stay-zero",
        "statement": "Gradients are 0.",
        "holds": True,
        "binding": True,
        "evidence": "largest norm 0",
    }
    return Finding(**{**told, **changes})


P5_RUN = variant_results("P5", dict.fromkeys(EXPERIMENTS["P5"].variants, (0.9, 0.91)))


OF = "of published experiments"


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        ([finding(), finding(form="session")], f"**All 2 statements {OF} hold**."),
        ([finding(), finding(holds=None)], f"**1 of 2 statements {OF} holds**; 1 cannot be said."),
        (
            [finding(holds=False), finding(holds=None)],
            f"**1 of 2 statements {OF} does not hold**: P5 `zeros-stay-zero` (Keras, fails the "
            "run); 1 cannot be said.",
        ),
        (
            [finding(holds=False, binding=False, form="both"), finding(holds=False)],
            f"**2 of 2 statements {OF} do not hold**: P5 `zeros-stay-zero` (Keras, fails the run), "
            "P5 `zeros-stay-zero` (both).",
        ),
        ([], "**No statement of an original could be held against these trials.**"),
    ],
)
def test_the_answer_first(found: list[Finding], answer: str) -> None:
    """One paragraph says whether everything holds, and what does not, what fails the run first."""
    assert markdown([published_section(P5_RUN, found, [])]).split("\n\n")[1] == answer


def test_page_of_an_experiment() -> None:
    """Heading, question, command, numbers, findings and figure, in this order."""
    row = Row(
        experiment="P5",
        variant="hidden layer, zeros",
        form="keras",
        quantity="test accuracy",
        published="0.1135",
        ours="0.1135 ± 0, 5 seeds",
        within=False,
        why="a | reason",
    )
    violated = finding(holds=False, name="other", evidence="norm 2")
    text = markdown([published_section(P5_RUN, [finding(), violated], [row])])
    wanted = [
        "### P5: Zero initialization",
        "*Why may softmax regression start from zeros, and a network not?*",
        "6 trials: 2 seeds in the Keras form. Once more: `bench published P5`",
        "within its noise?",
        "0.1135 ± 0, 5 seeds",
        "**no**",
        "a \\| reason",
        "**does not hold; fails the run**",
        "norm 2",
        "<details><summary>1 of 2 statements holds</summary>",
        "largest norm 0",
        "](figures/published-p5-zeros.svg)",
        "Thin lines: seeds",
    ]
    places = [text.find(part) for part in wanted]
    assert -1 not in places, wanted[places.index(-1)]
    assert places == sorted(places)
    assert "### P1" not in text


def test_what_did_not_train_is_told() -> None:
    """Crashed and diverged trials by name, absent forms by reason, the rest counted."""
    results = [crashed(trial("P5", "hidden layer, zeros", seed=seed)) for seed in range(17)]
    of = trial("P5", "hidden layer, uniform")
    results.append(result(of, outcome="diverged"))
    session = [trial("P5", "hidden layer, zeros", seed=seed, form="session") for seed in (0, 1)]
    results += [TrialResult(trial=t, outcome="absent", absent="no Session") for t in session]
    text = markdown([published_section(results, [], [])])
    assert "**17 trials crashed:**" in text
    assert "- `P5/hidden layer, zeros/keras/seed 0`: killed by SIGSEGV" in text
    assert text.count("SIGSEGV") == 15 and "- and 2 more trials" in text
    assert "- `P5/hidden layer, uniform/keras/seed 0`: the loss was no longer finite" in text
    assert text.count("- session form: no Session") == 1
    assert "](figures/" not in text


@pytest.mark.parametrize(("tier", "option"), [("quick", ""), ("standard", " --tier standard")])
def test_the_command_runs_what_was_run(tier: str, option: str) -> None:
    """The smallest tier that has all of the trials; a shortened training is said to be one."""
    text = markdown(
        [published_section(variant_results("P3", {"batch norm": (0.9, 0.9)}, tier=tier), [], [])]
    )
    assert f"`bench published P3{option}`" in text
    assert ("All were cut short: 550 of 5,500 steps." in text) is (tier == "quick")


def test_nothing_to_tell() -> None:
    """Without results there is no section."""
    assert published_section([], [], []) is None


def test_html_shows_the_figures(tmp_path: Path) -> None:
    """The page of one file has the figures in it."""
    found = pictures(P5_RUN)
    for path, picture in found.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(draw(picture))
    text = html(Document("report", [published_section(P5_RUN, [], [])]), folder=tmp_path)
    assert text.count("data:image/svg+xml") == len(found) == 1


DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "published.md").read_text()


def sections() -> dict[str, str]:
    """Of the documentation, by experiment."""
    found = re.findall(r"^## (P\d): (.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return dict(found)


def test_documentation_is_filled_from_runs() -> None:
    """A run of P5 changes P5's figure and tables, and nothing else; a second time, nothing at all."""
    path = DOCS / "published" / "fill.py"
    loader = importlib.util.spec_from_file_location("fill", path)
    assert loader is not None and loader.loader is not None
    fill = importlib.util.module_from_spec(loader)
    loader.loader.exec_module(fill)
    text, drawn = fill.filled(PAGE, P5_RUN)
    assert list(drawn) == ["published/p5-zeros.svg"]
    assert fill.filled(text, P5_RUN)[0] == text
    assert "lowest test accuracy 0.9000" in text
    for name, section in sections().items():
        assert (section in text) is (name != "P5")
    with pytest.raises(ValueError, match="figure P5"):
        fill.filled(text.replace("<!-- figure P5 -->", ""), P5_RUN)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_documentation(name: str) -> None:
    """Each experiment has a section under its title, with a command that the parser accepts, its own
    figures, and the claims of today."""
    title, section = sections()[name].split("\n", 1)
    assert title == EXPERIMENTS[name].title
    told = set(re.findall(r"^\| [^|]*\| `([a-z0-9-]+)` +\|", section, re.MULTILINE))
    assert told == {claim.name for claim in CLAIMS if claim.experiment == name}
    links = re.findall(r"^!\[.*\]\((.*)\)$", section, re.MULTILINE)
    assert links and all((DOCS / link).is_file() for link in links)
    (command,) = re.findall(rf"\*\*Run it:\*\* `bench (published {name} --tier standard)`", section)
    _, bound = cli.parse(command.split())
    assert (bound.arguments["experiment"], bound.arguments["tier"]) == ((name,), "standard")
    for part in ("**Question.**", "**Mechanism.**", "**Recipe.**", "\n$$"):
        assert part in section
