"""Tests of environments between two others."""

from __future__ import annotations

from bench.environments.exchange import (
    Installed,
    between,
    differences,
    grouped,
    side_with,
    tensorflow_alone,
)

OLD = Installed(
    lock="h5py==3.10\nkeras==2.15.0\nnumpy==1.26.4\ntensorflow-cpu==2.15.1\nwrapt==1.14\n",
    variables={"TF_ENABLE_ONEDNN_OPTS": "0", "ONEDNN_DEFAULT_FPMATH_MODE": "BF16"},
)
NEW = Installed(
    lock="h5py==3.10\nkeras==3.3.3\nnumpy==1.26.4\noptree==0.11\ntensorflow-cpu==2.16.2\nwrapt==1.16\n",
    variables={"TF_ENABLE_ONEDNN_OPTS": "1"},
)


def test_differences_are_packages_of_both_and_variables() -> None:
    """The first suspects first; what only one side has follows another package."""
    assert [part.label for part in differences(OLD, NEW)] == [
        "keras 2.15.0 -> 3.3.3",
        "tensorflow 2.15.1 -> 2.16.2",
        "wrapt 1.14 -> 1.16",
        "ONEDNN_DEFAULT_FPMATH_MODE BF16 -> unset",
        "TF_ENABLE_ONEDNN_OPTS 0 -> 1",
    ]
    assert differences(OLD, OLD) == []


def test_the_ends_are_the_ends() -> None:
    parts = differences(OLD, NEW)
    old, new = (between(OLD, NEW, parts, chosen) for chosen in ((), parts))
    assert set(old.requirements) == {"keras==2.15.0", "tensorflow-cpu==2.15.1", "wrapt==1.14"}
    assert (old.variables, old.preferred) == (OLD.variables, OLD.lock)
    assert set(new.requirements) == {"keras==3.3.3", "tensorflow-cpu==2.16.2", "wrapt==1.16"}
    assert (new.variables, new.preferred) == (NEW.variables, NEW.lock)


def test_keras_2_on_a_newer_tensorflow_is_tf_keras() -> None:
    parts = differences(OLD, NEW)
    side = between(OLD, NEW, parts, [part for part in parts if part.name != "keras"])
    assert set(side.requirements) == {"tensorflow-cpu==2.16.2", "wrapt==1.16"}
    assert side.variables["TF_USE_LEGACY_KERAS"] == "1"
    assert side.legacy_keras


def test_tf_keras_against_keras_3_is_a_difference_of_keras() -> None:
    legacy = Installed(lock=f"{NEW.lock}tf-keras==2.16.0\n", variables={"TF_USE_LEGACY_KERAS": "1"})
    three = Installed(lock=NEW.lock)
    (part,) = differences(legacy, three)
    assert part.label == "keras 2.16.0 -> 3.3.3"
    assert between(legacy, three, [part], []).legacy_keras
    assert not between(legacy, three, [part], [part]).legacy_keras


def test_what_moves_with_tensorflow_is_part_of_it() -> None:
    """Keras 2 and 3 stay a difference of their own: either can be had on newer TensorFlow."""
    parts = differences(OLD, NEW)
    side = tensorflow_alone(OLD, parts)
    assert side is not None
    assert side.requirements == ("tensorflow-cpu==2.16.2",)
    assert (side.legacy_keras, side.preferred) == (True, OLD.lock)
    moved = Installed(
        lock=OLD.lock.replace("wrapt==1.14", "wrapt==1.15").replace("2.15.0", "3.9.0")
    )
    keras, tensorflow, *settings = grouped(OLD, parts, moved)
    assert keras.label == "keras 2.15.0 -> 3.3.3"
    assert tensorflow.label == "tensorflow 2.15.1 -> 2.16.2 (with wrapt 1.14 -> 1.16)"
    assert all(part.variable for part in settings)
    assert "wrapt==1.16" in between(OLD, NEW, [keras, tensorflow], [tensorflow]).requirements
    assert "wrapt==1.14" in between(OLD, NEW, [keras, tensorflow], [keras]).requirements


def test_without_another_tensorflow_nothing_moves() -> None:
    three = Installed(lock=NEW.lock.replace("keras==3.3.3", "keras==3.1.0"))
    assert tensorflow_alone(three, differences(three, Installed(lock=NEW.lock))) is None


def test_another_distribution_of_tensorflow_is_a_difference() -> None:
    gpu = Installed(lock="keras==3.3.3\ntensorflow==2.16.2\n")
    cpu = Installed(lock="keras==3.3.3\ntensorflow-cpu==2.16.2\n")
    (part,) = differences(gpu, cpu)
    assert between(gpu, cpu, [part], []).requirements == ("tensorflow==2.16.2",)
    assert between(gpu, cpu, [part], [part]).requirements == ("tensorflow-cpu==2.16.2",)


def test_one_package_is_exchanged_and_the_rest_preferred() -> None:
    side = side_with(NEW, ["tensorflow-cpu==2.16.2", "keras==3.1.0"], NEW.variables)
    assert side.requirements == ("tensorflow-cpu==2.16.2", "keras==3.1.0")
    assert (side.preferred, side.variables) == (NEW.lock, NEW.variables)
