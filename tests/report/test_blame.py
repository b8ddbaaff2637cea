"""Tests of what reports and issue texts tell of packages and releases to blame."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import msgspec
import pytest

from bench.errors import BenchError
from bench.report.data import upgrade_json
from bench.report.full import full_report
from bench.report.issue import issue
from bench.report.markdown import markdown
from bench.report.sections.blame import blame_section
from bench.report.short import short_report
from bench.results.blame import BLAME as BLAME_FILE
from bench.results.blame import Blame, Cause, Pair, read_blames, write_blame
from bench.verdict.saving import is_rollback
from support.upgraded import BLAME, BLAMED, exchange, side, upgraded, where, worse


def told(blame: Blame) -> str:
    return markdown([blame_section([blame])])


def test_the_answer_is_first_then_what_it_rests_on() -> None:
    lines = told(BLAME).splitlines()
    assert lines[4] == (
        "**Since keras 3.15.0 (3.14.1 is as before). To blame: keras 3.0.5 -> 3.15.1, whatever the "
        "other packages**."
    )
    text = "\n".join(lines)
    assert "These two also differ in rich 1 -> 2" in text
    assert "https://github.com/keras-team/keras/issues/22596" in text
    assert "3.14.2: yanked: broken" in text
    assert "9 environments asked, 1 min 01 s" in text
    assert text.index("keras==3.14.1` avoids it") < text.index("TF_ENABLE_ONEDNN_OPTS=0` does not")


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (
            Cause(parts=["a 1 -> 2"], together=["b 1 -> 2"]),
            "To blame: a 1 -> 2 together with b 1 -> 2",
        ),
        (
            Cause(parts=["a 1 -> 2"], inseparable=["b 1 -> 2"]),
            "To blame: a 1 -> 2, which needs b 1 -> 2; without it, that changes nothing",
        ),
        (
            Cause(parts=["a 1 -> 2", "b 1 -> 2"]),
            "To blame: a 1 -> 2 with b 1 -> 2, which cannot be told apart, whatever the other",
        ),
    ],
)
def test_causes_are_told_apart(cause: Cause, expected: str) -> None:
    attributed = msgspec.structs.replace(BLAME, outcome="attributed", causes=[cause], pairs=[])
    assert expected in told(attributed)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("not shown", "**Not found: because**"),
        ("flaky", "**Flaky: because**"),
        ("untestable", "**Cannot be tested: because**"),
        ("same", "**Nothing to blame: because**"),
        ("time", "**The time was up: because**"),
    ],
)
def test_without_a_pair_the_reason_is_told(outcome: str, expected: str) -> None:
    assert expected in told(Blame(finding="x", outcome=outcome, reason="because"))


def test_a_change_that_goes_again_is_told() -> None:
    pairs = [Pair(before="1", after="2"), Pair(before="3", after="4", comes=False)]
    text = told(msgspec.structs.replace(BLAME, pairs=pairs))
    assert "Since keras 2 (1 is as before); gone with keras 4 (3 still has it)" in text


def test_what_was_mended_is_told_so() -> None:
    text = told(msgspec.structs.replace(BLAME, mended=True))
    assert "Mended in keras 3.15.0 (3.14.1 is still wrong)" in text
    assert "`tensorflow-cpu==2.16.2 keras==3.14.1` keeps what OLD shows" in text


def test_an_upgrade_tells_of_it_in_every_form() -> None:
    """Before it was asked for, the first finding is named: of a folder from elsewhere, whose programs
    are not started, with both sides."""
    found = upgraded(
        new=side("new", where(lambda cell: cell.optimizer == "nadam", worse)), ours=True
    )
    first = f"bench bisect {found.failing[0].item.name}"
    assert f"{first} --of u" in markdown(full_report(found))
    foreign = dataclasses.replace(found, measured_here=False)
    sides = "tensorflow-cpu==2.20.0 tensorflow-cpu==2.21.0"
    assert f"{first} {sides}`" in markdown(full_report(foreign))
    found = dataclasses.replace(found, blames=[BLAME])
    full = markdown(full_report(found))
    assert "## Why, and since when" in full
    for text in (full, short_report(found)):
        assert "Or avoid what was bisected, as tried out: `tensorflow-cpu==2.16.2 keras==3." in text
    (blame,) = json.loads(upgrade_json(found))["blames"]
    assert blame["pairs"][0]["after"] == "3.15.0"


def test_an_issue_has_all_that_developers_ask_for() -> None:
    text = issue(BLAME, BLAMED)
    assert text.startswith("# loops:train_on_batch-returns:loss: since keras 3.15.0")
    for part in (
        "https://github.com/keras-team/keras/issues/22596",
        "`keras.Model.train_on_batch`: Returns the loss of the batch that it is given",
        "Expected (as before): got 7.95, expected 5.43",
        "Got: it holds",
        "keras: 3.14.1 against 3.15.0",
        "cpu: a processor",
        "python -m pip install tensorflow-cpu==2.16.2 keras==3.15.0 numpy==1.26.4",
        "No script that stands alone shows it; this needs a checkout of bench.",
        "python -m pytest suites/test_contracts.py -k 'loops:train_on_batch-returns:loss'",
        "`tensorflow-cpu==2.16.2 keras==3.14.1` avoids it",
    ):
        assert part in text


def test_an_issue_sends_to_what_is_reported_alone() -> None:
    """A fault that nobody has reported is said to be seen before."""
    unreported = msgspec.structs.replace(BLAME, known=["raises; no report of it is known"])
    assert "look there first" in issue(BLAME, BLAMED)
    text = issue(unreported, BLAMED)
    assert "Seen before, by bench: raises; no report of it is known." in text
    assert "look there first" not in text


def test_an_issue_of_a_contract_tells_how_its_script_ends() -> None:
    text = issue(msgspec.structs.replace(BLAME, script="u/x.py"), BLAMED)
    assert "Run `u/x.py`, attached, with both versions: it ends with status 0 where" in text
    assert "pytest" not in text


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("total_sec", -1, "Expected `float` >= 0.0 - at `$.blames[0].total_sec`"),
        ("environments", 1 << 60, "at `$.blames[0].environments`"),
        ("finding", "x" * 5000, "length <= 4096 - at `$.blames[0].finding`"),
        ("releases", [{"version": "1", "seen": "green"}], "Invalid enum value 'green'"),
    ],
)
def test_numbers_and_words_out_of_range_are_refused(
    tmp_path: Path, field: str, value: object, why: str
) -> None:
    write_blame(tmp_path, BLAME)
    path = tmp_path / BLAME_FILE
    stored = json.loads(path.read_bytes())
    stored["blames"][0][field] = value
    path.write_text(json.dumps(stored))
    with pytest.raises(BenchError, match=re.escape(why)):
        read_blames(tmp_path)


def test_what_is_known_of_a_finding_is_replaced(tmp_path: Path) -> None:
    assert read_blames(tmp_path) == []
    write_blame(tmp_path, Blame(finding=BLAME.finding, outcome="time"))
    write_blame(tmp_path, Blame(finding="other", outcome="time"))
    write_blame(tmp_path, BLAME)
    assert read_blames(tmp_path) == [Blame(finding="other", outcome="time"), BLAME]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (("2.21.0", "3.15.1"), ("2.18.1", "3.15.1"), True),
        (("2.18.1", "3.15.1"), ("2.21.0", "3.12.0"), False),
        (("2.18.1", "3.15.1"), ("2.18.1", "3.12.0"), True),
        (("2.9.0", "2.9.0"), ("2.10.0", "2.10.0"), False),
        (("2.18.1", "3.12.0"), ("2.18.1", "3.12.0"), False),
    ],
)
def test_a_rollback_goes_by_tensorflow_then_keras(
    old: tuple[str, str], new: tuple[str, str], expected: bool
) -> None:
    names = ("tensorflow", "keras")
    pair = [dict(zip(names, versions, strict=True)) for versions in (old, new)]
    assert is_rollback(*pair) is expected


def test_a_rollback_says_which_files_are_lost() -> None:
    """An upgrade has no such section, and says nothing of files that nobody promised."""
    error = "ValueError: unknown version"
    files = [exchange("saved_model", error=error), exchange("export")]
    back = upgraded(side("new"), side("old"), exchanges=files)
    text = markdown(full_report(back))
    assert "## Rollback" in text
    assert "TensorFlow 2.20.0 in the place of 2.21.0" in text
    assert "It does not take back 1 file that OLD saved" in text
    assert "- `saved:mlp-saved_model`, SavedModel by tf.saved_model.save: cannot load" in text
    assert "1 saved model that the older version cannot read, as nobody promised" in text
    assert json.loads(upgrade_json(back))["rollback"] is True
    assert "Rollback" not in markdown(full_report(upgraded(exchanges=files)))


def test_files_that_a_rollback_loses_stand_in_an_unsafe_answer_too() -> None:
    files = [exchange("saved_model", error="ValueError: unknown"), exchange("export", excess=2.0)]
    text = markdown(full_report(upgraded(side("new"), side("old"), exchanges=files)))
    answer, _, _ = text.partition("## ")
    assert "**Not safe**" in answer
    assert "1 saved model that the older version cannot read, as nobody promised" in answer


def test_a_rollback_that_reads_everything_says_so() -> None:
    back = upgraded(side("new"), side("old"), exchanges=[exchange("export")])
    assert "It reads every model that OLD saved." in markdown(full_report(back))


def test_an_issue_about_a_users_model_asks_for_its_file() -> None:
    """Nobody else has it; a script names what it reads."""
    found = msgspec.structs.replace(BLAME, finding="saved:net.build-keras", script="")
    text = issue(found, None, own=True)
    assert "Attach the model's file" in text
    assert "`bench bisect saved:net.build-keras --of UPGRADE`" in text
    text = issue(msgspec.structs.replace(found, script="out/one.py"), None, own=True)
    assert "Run `out/one.py` with both versions; attached, with the model's file" in text
