"""A page may name a test only while it is there."""

from tools.check_docs import ROOT, unknown_tests

HERE = "tools/test_named_tests.py"


def test_a_test_that_is_not_there_is_found() -> None:
    real = f"`{HERE}::test_a_test_that_is_not_there_is_found`"
    assert unknown_tests(f"shown by {real}") == []
    assert unknown_tests(f"`{HERE}::test_gone`") == [f"{HERE}::test_gone"]
    assert unknown_tests("`api/test_gone.py::test_x`") == ["api/test_gone.py::test_x"]
    assert unknown_tests(f"`{HERE}::HERE`") == [f"{HERE}::HERE"]


def test_every_test_that_the_threat_model_names_exists() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    assert text.count("::test_") > 100
    assert unknown_tests(text) == []
