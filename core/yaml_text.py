"""YAML that a person wrote: whatever is wrong with it is a `yaml.YAMLError`, with its line."""

from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Says where a value stands that is written like a date or a number and cannot be one."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError, AttributeError, LookupError, TypeError):
            # The last three: what the library makes of `!!timestamp x`.
            raise yaml.constructor.ConstructorError(
                None, None, "a value that cannot be", node.start_mark
            ) from None


def read_yaml(text: str) -> Any:
    """Return what a text says.

    Raises:
        yaml.YAMLError: it cannot be read; `problem` and `problem_mark` say what and where.
    """
    # A SafeLoader: nothing but plain values comes of it.
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    except RecursionError:
        raise yaml.MarkedYAMLError(problem="nested too deeply") from None
    finally:
        loader.dispose()
