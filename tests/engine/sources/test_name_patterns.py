from __future__ import annotations

import pytest

from clipft_cli.engine.sources.name_patterns import class_in_names
from clipft_cli.engine.sources.template import match, parse_template

LABELS = ("cat", "great dane", "dog")
FORMS = {
    "{label}_{i}.jpg": "begin with classes",
    "{label} ({i}).JPG": "begin with classes",
    "{label}.{i}.jpg": "begin with classes",
    "{label}{i}.jpg": "begin with classes",
    "{i:05}_{label}.png": "end with classes",
    "IMG {i}-{label}.png": "end with classes",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_class_beside_a_number_is_found_by_a_template_that_reads_it(form: str) -> None:
    names = {form.format(label=LABELS[i % 3], i=i): LABELS[i % 3] for i in range(12)}
    found = class_in_names(list(names))
    assert found is not None
    assert found.words == FORMS[form]
    template = parse_template(found.template)
    assert {name: fields["class"] for name in names if (fields := match(template.form(names), name))} == names


@pytest.mark.parametrize("form", ["{i}.jpg", "IMG_{i}.jpg", "{i}_{i}.jpg", "a{i}_{label}{i}.png"])
def test_names_without_a_class_that_comes_back_have_no_pattern(form: str) -> None:
    assert class_in_names([form.format(label=f"{LABELS[i % 3]} x{i}", i=i) for i in range(12)]) is None
