"""docs/reference.md: every public name, with what its docstring says."""

from __future__ import annotations

import importlib

import pytest

from docs import make_reference


@pytest.mark.parametrize("module_name", make_reference.MODULES)
def test_every_public_name_has_its_sentence(module_name: str) -> None:
    module = importlib.import_module(module_name)
    missing = []
    for name in make_reference.names_of(module):
        value = getattr(module, name)
        if callable(value) and not make_reference.doc_of(value):
            missing.append(name)
        if isinstance(value, type):
            members = make_reference.members_of(value)
            missing += [f"{name}.{m}" for m, v in members if not make_reference.doc_of_member(v)]
    assert missing == []


def test_the_reference_is_what_the_docstrings_say() -> None:
    made = make_reference.reference()
    assert make_reference.FILE.read_text() == made, "make docs writes the page anew"
