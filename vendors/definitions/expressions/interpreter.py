"""Evaluates JMESPath within a budget."""

from typing import Any

from jmespath.visitor import Options, TreeInterpreter

from vendors.definitions.expressions.budget import Budget
from vendors.definitions.expressions.functions import Functions, is_equal

Node = dict[str, Any]


class Interpreter(TreeInterpreter):
    """Every visit of a node is a step; so is every element of a list that is made without one."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(Options(custom_functions=Functions(budget)))
        self.budget = budget

    def visit(self, node: Node, *args: Any, **kwargs: Any) -> Any:
        self.budget.spend(1)
        return super().visit(node, *args, **kwargs)

    def visit_flatten(self, node: Node, value: Any) -> Any:
        base = self.visit(node["children"][0], value)
        if not isinstance(base, list):
            return None
        self.budget.spend(sum(len(item) if isinstance(item, list) else 1 for item in base))
        return [inner for item in base for inner in (item if isinstance(item, list) else [item])]

    def visit_slice(self, node: Node, value: Any) -> Any:
        if isinstance(value, list):
            self.budget.spend(len(value))
        return super().visit_slice(node, value)

    def visit_comparator(self, node: Node, value: Any) -> bool | None:
        left, right = (self.visit(child, value) for child in node["children"])
        self.budget.spend_value(left)
        self.budget.spend_value(right)
        match node["value"]:
            case "eq":
                return is_equal(left, right)
            case "ne":
                return not is_equal(left, right)
            case order if _is_ordered(left, right):
                return bool(self.COMPARATOR_FUNC[order](left, right))
        return None


def _is_ordered(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    return any(isinstance(left, kind) and isinstance(right, kind) for kind in (str, int | float))
