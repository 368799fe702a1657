"""One small model of our own, built once."""

import fake_language
import pytest

from framework.models.onevision import loading, small


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return small.build(tmp_path_factory.mktemp("small") / "model", fake_language.TEXTS, canvas=6)


@pytest.fixture(scope="session")
def loaded(folder):
    """The model and its chat; nobody changes them."""
    return loading.load(folder)


@pytest.fixture
def fresh(folder):
    """A model and its chat of one test's own."""
    return loading.load(folder)
